"""Teaching a model to think before it answers: the cold start between SFT and GRPO.

- ``phantom_teacher``: honest thoughts about phantoms, from their geometry.
- ``traces``, ``trace_prompts``, ``trace_dataset``: thoughts about real films from a vision-language model.
- ``filters``, ``dirty``: what a thought must not be, and faults planted to see whether that is found.
- ``cold_start``: the mix of thoughts and direct answers that a model is fine-tuned on.
"""
