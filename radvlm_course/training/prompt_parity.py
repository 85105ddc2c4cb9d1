"""Did vLLM read the prompt that is trained on? Held against each other, token by token, at every generation.

With vLLM two programs prepare a film: the trainer, whose tokens the loss is computed on, and vLLM, which writes the
completions. Releases of vLLM have expanded image tokens twice, and another pixel limit gives another number of them.
Neither is an error anywhere: the completions are fluent, and belong to other prompts than the ones that are trained on.
So:

* *colocated*, vLLM says of every completion which prompt it read; TRL throws that away, here it is compared;
* *as a server*, with films, TRL's client sends the trainer's own tokens and gives them back unread, so comparing them
  would show nothing. What the server makes of a film is in the features that it returns before: how many tokens it is.
  Each is compared with the tokens of that film in the trainer's prompt. Without films the server's own tokens are
  compared.

Comparing lists costs microseconds a prompt. The first difference stops training, before a completion is scored.

Written against ``trl/generation/vllm_generation.py`` of TRL 1.14.2; another shape of it is an error, not a check less.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import ProcessorMixin, TrainerCallback

__all__ = ["ChecksPrompts", "PromptMismatch", "VllmServerError", "check_prompts", "compare_prompts"]

# That one request to a vLLM server may take: TRL's client has no limit, and the other processes of a training wait as
# long (ddp_timeout).
ANSWER_SECONDS = 1800.0
CONNECT_SECONDS = 10.0
_CHANGED = (
    "TRL has changed, and whether vLLM reads the right prompts is no longer checked: use the pinned version, or set "
    "use_vllm: false in the profile"
)


class PromptMismatch(RuntimeError):
    """vLLM read another prompt than the trainer's; the message shows where they part."""


class VllmServerError(RuntimeError):
    """The vLLM server stopped answering during training; the message says what to do."""


class ChecksPrompts(TrainerCallback):
    """Stops training after its first step if no prompt was compared.

    Attributes:
        compared: prompts so far.
    """

    def __init__(self) -> None:
        self.compared = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.compared:
            raise RuntimeError(f"a step was made with vLLM, and no prompt of it was compared. {_CHANGED}")


def check_prompts(generation: Any, processor: ProcessorMixin, folder: str | os.PathLike[str]) -> ChecksPrompts:
    """From now on, compare the prompts of every generation, and say clearly when a server is gone.

    Args:
        generation: a GRPO trainer's ``vllm_generation``.
        processor: the trainer's.
        folder: of the stage, for the message about a server that died.

    Returns:
        A callback for the trainer, which sees to it that the comparison takes place.

    Raises:
        RuntimeError: ``generation`` is not what it was in the version that this was written against.
    """
    _check_form(generation)
    counter, generate = ChecksPrompts(), generation.generate

    @functools.wraps(generate)
    def checked(prompts: list[list[int]], images: Any, num_generations: int, profiler: Any = None) -> Any:
        with _clear_server_errors(generation, folder):
            made = generate(prompts=prompts, images=images, num_generations=num_generations, profiler=profiler)
        if not isinstance(made, tuple) or len(made) != 4:
            raise RuntimeError(f"expected prompts, completions and their log-probabilities from vLLM. {_CHANGED}")
        compare_prompts(prompts, made[0], processor)
        counter.compared += len(prompts)
        return made

    generation.generate = checked
    if generation.mode == "server":
        _check_films_of_server(generation, processor)
        _limit_waiting(generation, folder)
    return counter


def compare_prompts(expected: Sequence[Sequence[int]], found: Sequence[Any], processor: ProcessorMixin) -> None:
    """Hold vLLM's prompts against the trainer's.

    Args:
        expected: token ids of the trainer's prompts, image tokens expanded. found: those that vLLM read, in that order.

    Raises:
        PromptMismatch: they differ; says in which prompt and at which token first, both tokens, and how many image
            tokens each has.
    """
    if len(found) != len(expected):
        raise PromptMismatch(f"vLLM read {len(found)} prompts, expected {len(expected)}, one a completion. {_advice()}")
    for number, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
        if theirs is None:
            raise PromptMismatch(f"vLLM does not say which tokens it read of prompt {number}. {_advice()}")
        if list(ours) != list(theirs):
            raise PromptMismatch(_difference(number, list(ours), list(theirs), processor))


def _difference(number: int, ours: list[int], theirs: list[int], processor: ProcessorMixin) -> str:
    pairs = enumerate(itertools.zip_longest(ours, theirs))
    place, (mine, other) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
    image = processor.image_token_id
    return (
        f"vLLM read another prompt than the trainer's. Prompt {number} of the batch differs first at token {place}: "
        f"the trainer has {_shown(mine, processor)}, vLLM has {_shown(other, processor)}. Image tokens: "
        f"{ours.count(image)} in the trainer's, {theirs.count(image)} in vLLM's; all tokens: {len(ours)} and "
        f"{len(theirs)}. {_advice()}"
    )


def _shown(token: int | None, processor: ProcessorMixin) -> str:
    if token is None:
        return "ended before"
    return f"{token} ({processor.tokenizer.decode([token], skip_special_tokens=False)!r})"


def _advice() -> str:
    return (
        "Training on completions of other prompts would go wrong without an error. Use the pinned vLLM "
        "(constraints/vllm.txt), give a vLLM server the training's pixel limit (docs/many_gpus.md), or set use_vllm: "
        "false in the profile"
    )


def _check_form(generation: Any) -> None:
    """Raises RuntimeError if TRL's class is not the one that was read."""
    expected: dict[str, tuple[str, ...]] = {"generate": ("self", "prompts", "images", "num_generations", "profiler")}
    if getattr(generation, "mode", None) == "server":
        expected["_place_features"] = ("self", "features", "prompt_ids")
    for name, parameters in expected.items():
        method = getattr(type(generation), name, None)
        found = tuple(inspect.signature(method).parameters) if method is not None else None
        if found != parameters:
            raise RuntimeError(
                f"expected {type(generation).__name__}.{name} with the arguments {', '.join(parameters)}, found "
                f"{'none' if found is None else ', '.join(found)}. {_CHANGED}"
            )
    if getattr(generation, "mode", None) not in ("server", "colocate"):
        raise RuntimeError(
            f"expected the mode server or colocate, found {getattr(generation, 'mode', None)!r}. {_CHANGED}"
        )


def _check_films_of_server(generation: Any, processor: ProcessorMixin) -> None:
    """Compare the films' tokens where TRL puts the server's features to the trainer's prompt, in the main process."""
    place = generation._place_features

    @functools.wraps(place)
    def checked(features: Any, prompt_ids: list[int]) -> Any:
        if features is not None:
            try:
                lengths = [int(film["length"]) for film in features["mm_placeholders"]["image"]]
            except (KeyError, TypeError) as error:
                raise RuntimeError(
                    "expected mm_placeholders.image with a length for each film in what the vLLM server made of a "
                    f"prompt's films, found {sorted(features)} ({error!r}): vLLM has changed. {_advice()}"
                ) from error
            compare_prompts([prompt_ids], [_with_lengths(prompt_ids, lengths, processor.image_token_id)], processor)
        return place(features, prompt_ids)

    generation._place_features = checked


def _with_lengths(prompt: list[int], lengths: Sequence[int], image: int) -> list[int]:
    """A prompt with each run of image tokens at the length that the server gives that film."""
    remaining = iter(lengths)
    made: list[int] = []
    for is_image, run in itertools.groupby(prompt, lambda token: token == image):
        made += [image] * next(remaining, 0) if is_image else list(run)
    return made + [image] * sum(remaining)  # films that the prompt has no place for


def _limit_waiting(generation: Any, folder: str | os.PathLike[str]) -> None:
    """A limit on each request, and a clear error where weights are sent too."""
    client = getattr(generation, "vllm_client", None)  # in the main process only
    if client is not None:
        limits = (CONNECT_SECONDS, ANSWER_SECONDS)
        client.session.request = functools.partial(client.session.request, timeout=limits)
    synchronise = generation.sync_weights

    @functools.wraps(synchronise)
    def clear() -> None:
        with _clear_server_errors(generation, folder):
            synchronise()

    generation.sync_weights = clear


@contextlib.contextmanager
def _clear_server_errors(generation: Any, folder: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what TRL's client raises, the errors of requests and a bare Exception, into one that says what to do."""
    client = getattr(generation, "vllm_client", None)  # in server mode, in the main process
    if client is None:
        yield
        return
    from requests.exceptions import RequestException

    try:
        yield
    except Exception as error:
        if not isinstance(error, RequestException) and type(error) is not Exception:
            raise
        raise VllmServerError(
            f"the vLLM server at {client.base_url} stopped answering ({type(error).__name__}: {error}). Look into its "
            f"output, start it again, and start training again with the same command: it goes on from the last "
            f"checkpoint in {os.fspath(folder)}"
        ) from error
