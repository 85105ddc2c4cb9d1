"""Teaching a model to think before it answers: the cold start between SFT and GRPO.

- ``phantom_teacher``: honest thoughts about phantoms, from their geometry.
- ``cold_start``: the mix of thoughts and direct answers that a model is fine-tuned on.
"""
