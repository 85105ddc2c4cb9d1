"""How long a stage takes on a GPU, estimated: the arithmetic and the reading of its passes, over the card's speed.

A training step of GRPO passes over its sequences many times: the prompts are read, the answers written token by token,
the reference and (with several updates a generation) the old policy look at them once, and the update itself goes
forward, forward again under gradient checkpointing, and backward. Matrix products are counted exactly, two operations
for each weight and token, from the model's sizes; tests hold the counts against torch's own counter on small models of
the real classes. Writing is bound by memory instead: for each token all weights are read once, and the cache.

What turns this into seconds is **assumed** (:class:`Assumptions`): the share of a card's peak that training reaches,
the time that a layer takes to be started, the length of answers. Expect the order of magnitude, not the minute. Left
out: rewards with models of their own, loading films, moving weights to vLLM, evaluation, checkpoints. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from radvlm_course.models.activations import cache_bytes
from radvlm_course.models.architectures import Architecture, read_architecture
from radvlm_course.models.memory import LARGE_FILM, PROMPT_TEXT, film_of, weight_bytes
from radvlm_course.profile_checks import GRPO_STAGES
from radvlm_course.profiles import Profile
from radvlm_course.settings import build_settings, limits, load_yaml

__all__ = [
    "Assumptions",
    "Card",
    "StageTime",
    "forward_operations",
    "known_cards",
    "stage_time",
    "training_operations",
]

TERA, GIGA = 1e12, 1e9


@dataclass(frozen=True)
class Card:
    """A GPU's data sheet: memory in GB, bfloat16 products in 10**12 operations a second, 10**9 bytes a second."""

    memory_gb: float = field(metadata=limits(1))
    teraflops: float = field(metadata=limits(0.1))
    bandwidth: float = field(metadata=limits(1))


@dataclass(frozen=True)
class Assumptions:
    """What is assumed, and may be replaced by what was measured.

    Attributes:
        utilisation: share of the peak that passes over whole sequences reach, 0 to 1.
        bandwidth_used: share of the bandwidth that writing tokens reaches, 0 to 1.
        layer_seconds: transformers needs this long to start one layer for one token; vLLM replays a recorded graph.
        answer_tokens: mean length of an answer. The paper's reports have 171 to 209 characters (its table 3), some
            50 tokens.
        longest: the longest answer of a generation over the mean; all wait for it.
    """

    utilisation: float = 0.35
    bandwidth_used: float = 0.7
    layer_seconds: float = 1e-3
    answer_tokens: int = 64
    longest: float = 2.0

    def __post_init__(self) -> None:
        shares = (self.utilisation, self.bandwidth_used)
        if not all(0 < share <= 1 for share in shares) or self.layer_seconds < 0:
            raise ValueError(f"expected shares above 0 and up to 1 and a time of at least 0, found {self}")
        if self.answer_tokens < 1 or self.longest < 1:
            raise ValueError(f"expected an answer of a token and a longest one of at least the mean, found {self}")


@dataclass(frozen=True)
class StageTime:
    """A stage's time on its GPUs.

    Attributes:
        phases: what one update spends its time on -> seconds; of GRPO its share of a generation.
        examples: pairs (SFT) or completions (GRPO) of one update.
        updates: how many there are.
        gpus: that work at once.
    """

    phases: dict[str, float]
    examples: int
    updates: int
    gpus: int

    @property
    def seconds(self) -> float:
        """Of one update."""
        return sum(self.phases.values())

    @property
    def hours(self) -> float:
        return self.seconds * self.updates / 3600

    @property
    def gpu_hours(self) -> float:
        return self.hours * self.gpus


@cache
def known_cards() -> dict[str, Card]:
    """Name -> data sheet, from ``configs/cards.yaml``."""
    path = Path(str(resources.files("radvlm_course") / "configs" / "cards.yaml"))
    return {name: build_settings(Card, values, path.name, name) for name, values in load_yaml(path).items()}


def forward_operations(architecture: Architecture, tokens: int, logits: int, patches: int) -> dict[str, int]:
    """Additions and multiplications of one forward pass over one sequence, by part.

    Args:
        tokens: of the sequence, the visual ones among them. logits: positions whose next token is predicted.
        patches: of its film; 0 if the film's features are there already.

    Returns:
        ``text`` (the layers' matrices), ``attention``, ``head`` and ``vision``. Attention counts half: nothing looks
        ahead.
    """
    text, vision = architecture.text_config, architecture.vision_config
    sizes = architecture.matrices()
    layers = sum(a * b for name, (a, b) in sizes.items() if name.startswith("model.language_model."))
    attention = 2 * text.num_hidden_layers * tokens**2 * text.num_attention_heads * text.head_dim
    merged = patches // vision.spatial_merge_size**2
    seeing = 4 * vision.depth * patches**2 * vision.hidden_size
    for name, (a, b) in sizes.items():
        if name.startswith("model.visual."):
            seeing += 2 * a * b * (merged if "merger" in name else patches)
    head = 2 * logits * text.hidden_size * text.vocab_size
    return {"text": 2 * layers * tokens, "attention": attention, "head": head, "vision": seeing}


def training_operations(
    forward: dict[str, int], checkpointing: bool, all_weights: bool, vision_trained: bool
) -> dict[str, int]:
    """Forward and backward of one sequence. A backward pass costs a forward for the gradients of what flows through,
    and another one for those of the weights, where they are trained; attention has no weights and two inputs, so two
    in any case. Checkpointing adds one more forward."""
    backward = 2 if all_weights else 1
    again = 1 if checkpointing else 0
    return {
        "text": forward["text"] * (1 + backward + again),
        "attention": forward["attention"] * (1 + 2 + again),
        "head": forward["head"] * (1 + backward),
        "vision": forward["vision"] * (1 + backward + again if vision_trained else 1),
    }


def stage_time(
    profile: Profile,
    stage: str,
    card: Card,
    pairs: int | None = None,
    assumptions: Assumptions | None = None,
    architecture: Architecture | None = None,
    film: tuple[int, int] = LARGE_FILM,
) -> StageTime:
    """Estimate ``sft``, ``grpo_grounding`` or ``grpo_reports`` of a profile.

    Args:
        card: each of the profile's GPUs.
        pairs: training pairs, where the profile counts in epochs.
        film: (width, height) in pixels, before the profile's limit.

    Raises:
        ValueError: the profile counts in epochs and ``pairs`` is missing.
        ProfileError: the model's sizes are not known.
    """
    assumed = assumptions or Assumptions()
    sizes = architecture or read_architecture(profile.model.name_or_path or "")
    trainer = getattr(profile, stage).trainer
    gpus = max(profile.requires.gpus, 1)
    examples = trainer["per_device_train_batch_size"] * trainer.get("gradient_accumulation_steps", 1) * gpus
    updates = _updates(profile, stage, trainer, examples, pairs)
    pace = card.teraflops * TERA * assumed.utilisation * gpus
    tokens = film_of(profile, stage, film, sizes.vision_config.patch_size)
    prompt = tokens.tokens + PROMPT_TEXT
    forward = forward_operations(sizes, prompt + assumed.answer_tokens, assumed.answer_tokens + 1, tokens.patches)
    phases = {"training": examples * sum(_training(profile, stage, forward).values()) / pace}
    if stage in GRPO_STAGES:
        looks = {"reference": bool(trainer.get("beta")), "old policy": _old_policy_looks(trainer)}
        once = sum(forward.values()) - (forward["vision"] if getattr(profile, stage).freeze_vision else 0)
        phases |= {name: examples * once / pace for name, looked in looks.items() if looked}
        read = forward_operations(sizes, prompt, 1, 0)
        group = trainer.get("num_generations", 8)
        phases["reading prompts"] = examples * (sum(read.values()) + forward["vision"] // group) / pace
        phases["writing"] = _writing(profile, stage, sizes, card, assumed, examples, prompt)
    return StageTime(phases, examples, updates, gpus)


def _updates(profile: Profile, stage: str, trainer: dict, examples: int, pairs: int | None) -> int:
    if trainer.get("max_steps", -1) > 0:
        return int(trainer["max_steps"])
    if pairs is None:
        raise ValueError(f"{profile.name}.{stage} counts in epochs: expected pairs, the number of its training pairs")
    each = examples // trainer.get("num_generations", 8) if stage in GRPO_STAGES else examples
    return max(1, round(trainer.get("num_train_epochs", 3) * pairs / each))


def _training(profile: Profile, stage: str, forward: dict[str, int]) -> dict[str, int]:
    settings, adapter = getattr(profile, stage), profile.model.adapter
    on_tower = not settings.freeze_vision and (adapter is None or adapter.vision == "lora")
    if settings.freeze_vision and stage in GRPO_STAGES:
        forward = {**forward, "vision": 0}  # its features are kept from reading the prompts
    checkpointing = settings.trainer.get("gradient_checkpointing", True)
    return training_operations(forward, checkpointing, adapter is None, on_tower)


def _old_policy_looks(trainer: dict) -> bool:
    """Whether TRL computes the log-probabilities of who wrote before the first update (GRPOTrainer)."""
    every = trainer.get("steps_per_generation", 1) * trainer.get("num_iterations", 1)
    several = trainer.get("gradient_accumulation_steps", 1) % every != 0
    return several or bool(trainer.get("use_vllm") and trainer.get("vllm_importance_sampling_correction", True))


def _writing(
    profile: Profile, stage: str, sizes: Architecture, card: Card, assumed: Assumptions, examples: int, prompt: int
) -> float:
    """Seconds of writing the completions of one update: its share of a generation, which is written all at once."""
    trainer = getattr(profile, stage).trainer
    gpus = max(profile.requires.gpus, 1)
    together = trainer["per_device_train_batch_size"] * trainer.get("steps_per_generation", 1)
    steps = min(assumed.answer_tokens * assumed.longest, trainer.get("max_completion_length", 256))
    vllm = trainer.get("use_vllm")
    weights = 2 * sizes.parameter_count("text") if vllm else weight_bytes(sizes, profile.model)
    reading = weights + together * (prompt + assumed.answer_tokens) * cache_bytes(sizes)
    started = 0.0 if vllm else sizes.text_config.num_hidden_layers * assumed.layer_seconds
    a_token = max(reading / (card.bandwidth * GIGA * assumed.bandwidth_used), started)
    return steps * a_token * examples / (together * gpus)
