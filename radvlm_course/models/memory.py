"""How much GPU memory a stage of a profile takes, computed from the model's sizes.

Memory is what lies there all the time (weights, adapter, gradients, optimiser) and, on top of it, the largest of what
comes and goes (:mod:`radvlm_course.models.activations`): the cache of the completions that are being written, or the
layers' inputs, one layer taken apart and the logits while the loss is differentiated. Everything is counted in bytes
of tensors as transformers, peft, bitsandbytes and TRL allocate them on a GPU; :data:`RESERVED` stands for what they do
not see. Left out: the evaluation, whose cache is that of its batch, and what a reward's own models take.

Tests hold the parts against real tensors; the sum is computed, not measured: ``benchmarks/memory_table.py`` prints
the table and, with ``--measure`` on a GPU, measures it. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from radvlm_course.model_settings import ModelSettings, QuantisationSettings
from radvlm_course.models import activations
from radvlm_course.models.architectures import Architecture, read_architecture
from radvlm_course.models.token_budget import QWEN3_VL_MIN_PIXELS, FilmTokens, film_tokens
from radvlm_course.profile_checks import GRPO_STAGES
from radvlm_course.profiles import Profile

__all__ = [
    "GIB",
    "LARGE_FILM",
    "PROMPT_TEXT",
    "RESERVED",
    "StageMemory",
    "adapter_parameters",
    "film_of",
    "nf4_bytes",
    "pixel_limit",
    "stage_memory",
    "weight_bytes",
]

GIB = 2**30
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
LARGE_FILM = (2544, 3056)  # width and height in pixels of an ordinary digital radiograph, 7,680 tokens unless capped
PROMPT_TEXT = 64  # tokens of a question with the chat's marks, beside the film's
# Assumed, not computed: the CUDA context, workspaces of libraries, and what the allocator holds and cannot use.
RESERVED = GIB


@dataclass(frozen=True)
class StageMemory:
    """Bytes on each GPU.

    Attributes:
        permanent: part -> bytes that are there all the time.
        phases: phase -> part -> bytes that come and go; phases never overlap.
    """

    stage: str
    permanent: dict[str, int]
    phases: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def peaks(self) -> dict[str, int]:
        """Phase -> all that is there at once, with :data:`RESERVED`."""
        always = sum(self.permanent.values()) + RESERVED
        return {phase: always + sum(parts.values()) for phase, parts in self.phases.items()}

    @property
    def peak(self) -> int:
        """That of the largest phase."""
        return max(self.peaks.values())

    def largest_phase(self) -> str:
        return max(self.peaks, key=lambda phase: self.peaks[phase])


def stage_memory(
    profile: Profile,
    stage: str,
    architecture: Architecture | None = None,
    film: tuple[int, int] = LARGE_FILM,
) -> StageMemory:
    """The memory of ``sft``, ``cold_start``, ``grpo_grounding`` or ``grpo_reports`` on each of the profile's GPUs.

    Args:
        architecture: of the profile's model; read from its name if None.
        film: (width, height) of the films in pixels.

    Raises:
        ProfileError: the model is neither a published one nor a folder with its config.json.
    """
    model = profile.model
    sizes = architecture or read_architecture(model.name_or_path or "")
    settings = getattr(profile, stage)
    tokens = film_of(profile, stage, film, sizes.vision_config.patch_size)
    batch = activations.Batch(
        films=settings.trainer.get("per_device_train_batch_size", 8),
        visual_tokens=tokens.tokens,
        patches=tokens.patches,
        prompt=tokens.tokens + PROMPT_TEXT,
        completion=settings.trainer.get("max_completion_length", profile.grpo_reports.trainer["max_completion_length"]),
    )
    permanent = _permanent(profile, stage, sizes)
    training = activations.training(sizes, batch, _compute(profile, stage))
    gathered = _gathered(profile, sizes)
    if stage not in GRPO_STAGES:
        training["logits"] = activations.chunked_logits(sizes)
        return StageMemory(stage, permanent, {"training": {**gathered, **training}})
    rollouts = batch.films * settings.trainer.get("steps_per_generation", 1)
    permanent["pixels of a generation"] = rollouts * activations.pixel_bytes(sizes, batch)
    training["logits"] = activations.full_logits(sizes, batch)
    phases = {"training": {**gathered, **training}}
    engine = _vllm_bytes(profile, stage)
    if engine is None:
        groups = max(rollouts // settings.trainer.get("num_generations", 8), 1)
        phases["writing"] = {**gathered, **activations.writing(sizes, batch, rollouts, groups)}
    else:
        phases["writing"] = {"vLLM": engine}
        if not settings.trainer.get("vllm_enable_sleep_mode"):
            phases["training"]["vLLM"] = engine
    return StageMemory(stage, permanent, phases)


def film_of(profile: Profile, stage: str, film: tuple[int, int], patch_size: int = 16) -> FilmTokens:
    """What becomes of a film under the stage's limit of pixels."""
    return film_tokens(film, limit := pixel_limit(profile, stage), min(limit, QWEN3_VL_MIN_PIXELS), patch_size)


def pixel_limit(profile: Profile, stage: str) -> int:
    """``max_pixels`` of the stage, or the model's."""
    return getattr(getattr(profile, stage), "max_pixels", None) or profile.model.max_pixels


def nf4_bytes(weights: int, double: bool = True) -> int:
    """Bytes of a matrix in four bits: two weights a byte, one scale for every 64 of them.

    A scale is a float; with double quantisation a byte, and one float for every 256 of those. To each matrix belong
    the 16 levels, and with double quantisation the 256 levels of the scales and their mean, all floats.
    """
    scales = -(-weights // 64)
    if not double:
        return weights // 2 + 4 * scales + 4 * 16
    return weights // 2 + scales + 4 * -(-scales // 256) + 4 * (16 + 256 + 1)


def weight_bytes(architecture: Architecture, model: ModelSettings) -> int:
    """All weights as they are held, without an adapter."""
    each = BYTES[model.precision]
    total = architecture.parameter_count() * each
    if model.quantisation is not None:
        quantised = architecture.quantised_by(model.quantisation)
        total += sum(_saved(inputs * outputs, model.quantisation, each) for inputs, outputs in quantised.values())
    return total


def _saved(weights: int, quantisation: QuantisationSettings, each: int) -> int:
    return nf4_bytes(weights, quantisation.double) - weights * each


def adapter_parameters(architecture: Architecture, model: ModelSettings) -> int:
    """Parameters of the adapter; 0 without one."""
    if model.adapter is None:
        return 0
    return sum(model.adapter.rank * (a + b) for a, b in architecture.reached_by(model.adapter).values())


def _permanent(profile: Profile, stage: str, sizes: Architecture) -> dict[str, int]:
    """Weights, adapter, gradients and the two moments of Adam, on one of the GPUs that share them."""
    model, gpus = profile.model, max(profile.requires.gpus, 1)
    parts = {"weights": weight_bytes(sizes, model) // gpus}
    has_reference = stage in GRPO_STAGES and bool(getattr(profile, stage).trainer.get("beta"))
    if model.adapter is not None:
        each = BYTES["float32"]  # whatever the weights are held in
        trained = adapter_parameters(sizes, model)
        parts["adapter"] = trained * each
        reference = trained
    else:
        each = BYTES[model.precision]
        frozen = sizes.parameter_count("vision") if getattr(profile, stage).freeze_vision else 0
        trained = (sizes.parameter_count() - frozen) // gpus
        reference = sizes.parameter_count() // gpus
    if has_reference:  # a copy of the adapter, or of the weights; TRL loads them in 32 bits
        parts["reference"] = reference * BYTES["float32"]
    parts["gradients"] = trained * each
    parts["optimiser"] = 2 * trained * each
    if getattr(profile, stage).freeze_vision:
        parts["films' features"] = activations.FEATURES_KEPT
    return parts


def _gathered(profile: Profile, sizes: Architecture) -> dict[str, int]:
    """What FSDP puts together on every GPU in bfloat16: embedding, head and mergers all the time, and two layers, the
    one that computes and the next; each with its gradients before they are shared out again."""
    if profile.requires.gpus < 2:
        return {}
    inside = {name: a * b for name, (a, b) in sizes.matrices().items()}
    layer = sum(count for name, count in inside.items() if name.startswith("model.language_model.layers.0."))
    outside = sum(count for name, count in inside.items() if not _is_layer(name))
    outside += 0 if sizes.tie_word_embeddings else sizes.text_config.vocab_size * sizes.text_config.hidden_size
    return {"gathered weights": 2 * 2 * (outside + 2 * layer)}


def _is_layer(name: str) -> bool:
    return name.startswith(("model.language_model.layers.", "model.visual.blocks."))


def _vllm_bytes(profile: Profile, stage: str) -> int | None:
    """What vLLM takes of this GPU for itself; None if it does not write the completions, 0 if it does elsewhere."""
    trainer = getattr(profile, stage).trainer
    if not trainer.get("use_vllm"):
        return None
    if trainer.get("vllm_mode", "colocate") == "server":
        return 0
    return int(trainer.get("vllm_gpu_memory_utilization", 0.3) * profile.requires.gpu_memory_gb * GIB)


def _compute(profile: Profile, stage: str) -> activations.Compute:
    model = profile.model
    settings = getattr(profile, stage)
    return activations.Compute(
        checkpointing=settings.trainer.get("gradient_checkpointing", True),
        adapter=model.adapter is not None,
        vision_trained=not settings.freeze_vision,
        quantised=model.quantisation is not None,
    )
