"""Baselines: what a score is worth without looking at the image, or from another model."""
