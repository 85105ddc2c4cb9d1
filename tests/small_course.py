"""Settings of a course that runs in seconds: every stage, on a few phantoms, with a model of a few parameters."""

OVERRIDES = {
    "model.image_size": 40,
    "model.max_pixels": 1600,
    "model.tiny.patch_size": 10,
    "model.tiny.vision_hidden_size": 32,
    "model.tiny.text_hidden_size": 32,
    "model.tiny.vision_heads": 2,
    "curate.patients": {"train": 14, "validation": 2, "test": 4},
    "curate.image_size": 40,
    "curate.workers": 1,
    "vision_pretraining.steps": 4,
    "vision_pretraining.batch_size": 4,
    "sft.trainer.max_steps": 6,
    "sft.trainer.save_steps": 3,
    "sft.early_step": 3,
    "sft.trainer.logging_steps": 1,
    "sft.trainer.per_device_train_batch_size": 4,
    "cold_start.trainer.max_steps": 3,
    "cold_start.trainer.per_device_train_batch_size": 4,
    "cold_start.max_thinking_tokens": 14,
    "evaluate.max_new_tokens": 12,
    "evaluate.max_examples": 6,
} | {
    f"{stage}.{key}": value
    for stage in ("grpo_grounding", "grpo_reports")
    for key, value in {
        "prompts_per_step": 2,
        "trainer.num_generations": 2,
        "trainer.max_steps": 2,
        "trainer.max_completion_length": 12,
    }.items()
}
