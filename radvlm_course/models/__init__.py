"""Models for a profile: the tiny Qwen3-VL of the laptop tier, and loading any Qwen3-VL folder.

Nothing is imported here, so that ``import radvlm_course.models`` costs no torch.
"""
