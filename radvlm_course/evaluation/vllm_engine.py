"""The engine vLLM, for GPUs: the same prompts and films as transformers, checked token by token.

The prompt is rendered here with the model's own chat template and given to ``LLM.generate`` with the film. For every
answer the tokens that vLLM really read are held against those that our processor makes of the same film: releases
differ in how they expand image tokens, and a prompt with twice as many of them gives fluent nonsense instead of an
error.

Written against vLLM 0.30 (``vllm/entrypoints/llm.py``, ``vllm/sampling_params.py``, ``vllm/outputs.py``).
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvlm_course.chat import to_messages
from radvlm_course.evaluation.engines import (
    EngineError,
    OwnModel,
    chosen_dtype,
    common_settings,
)
from radvlm_course.evaluation.writing import batches
from radvlm_course.models.vllm_folder import has_video_settings, mirror_for_vllm
from radvlm_course.records import Example

if TYPE_CHECKING:
    from PIL.Image import Image

    from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor

__all__ = ["VllmEngine", "prompt_token_ids"]

_TEXT_TOKENS = 2048  # of a prompt, besides its film; vLLM reserves memory for them


@dataclass
class VllmEngine(OwnModel):
    """Offline inference of vLLM.

    The queue holds ``batch_size`` examples at a time, so that a kill costs at most so many answers; a few hundred keep
    a GPU busy.

    Attributes:
        options: further arguments of ``vllm.LLM``: ``tensor_parallel_size``, ``gpu_memory_utilization``, ...
    """

    options: dict[str, Any] = field(default_factory=dict)
    _llm: Any = field(default=None, repr=False)
    _sampling: Any = field(default=None, repr=False)
    _processor: Any = field(default=None, repr=False)
    _mirror: Any = field(default=None, repr=False)

    def settings(self) -> dict[str, Any]:
        settings = common_settings(self.model, self.generation, self._own_processor(), ("vllm",))
        return {"engine": "vllm", **settings, "options": self.options}

    def complete(self, examples: Sequence[Example]) -> Iterator[tuple[str, str]]:
        """As :meth:`Engine.complete`.

        Raises:
            EngineError: vLLM is not installed, read another prompt than ours, or did not finish an answer.
            ImageReadError: a film cannot be read.
        """
        if self._llm is None:
            self._llm, self._sampling = self._open()
        for batch in batches(examples, self.generation.batch_size):
            yield from self._answers(batch)

    def _answers(self, examples: Sequence[Example]) -> Iterator[tuple[str, str]]:
        from radvlm_course.images import load_image

        films = [load_image(example.image_path) for example in examples]
        prompts = [
            {
                "prompt": _render(self._own_processor(), example, self.generation.thinking),
                "multi_modal_data": {"image": f},
            }
            for example, f in zip(examples, films, strict=True)
        ]
        outputs = self._llm.generate(prompts, self._sampling, use_tqdm=False)
        if len(outputs) != len(examples):
            raise EngineError(f"vLLM gave {len(outputs)} answers to {len(examples)} prompts")
        for example, film, output in zip(examples, films, outputs, strict=True):
            self._check_prompt(example, film, output.prompt_token_ids)
            answer = output.outputs[0]
            if answer.finish_reason not in ("stop", "length"):
                raise EngineError(
                    f"vLLM did not finish its answer to example {example.id!r} (finish reason "
                    f"{answer.finish_reason!r}): expected stop or length. Run the same command again: it goes on here"
                )
            # not answer.text: vLLM holds back a last character that is not whole yet, transformers writes it
            text = self._own_processor().tokenizer.decode(answer.token_ids, skip_special_tokens=True)
            yield text.strip(), answer.finish_reason

    def _check_prompt(self, example: Example, film: Image, found: Iterable[int] | None) -> None:
        expected = prompt_token_ids(self._own_processor(), example, film, self.generation.thinking)
        read = list(found or ())
        if read == expected:
            return
        image_token = self._own_processor().image_token_id
        pairs = enumerate(itertools.zip_longest(read, expected))
        place = next(index for index, (one, other) in pairs if one != other)
        raise EngineError(
            f"vLLM read another prompt than our processor makes of example {example.id!r}: {len(read)} tokens, "
            f"{read.count(image_token)} of them of the image, expected {len(expected)} with "
            f"{expected.count(image_token)}; the first difference is at token {place}. Answers to such a prompt are "
            "worth nothing: use --engine transformers, or another release of vLLM"
        )

    def _own_processor(self) -> ImageOnlyQwen3VLProcessor:
        if self._processor is None:
            from radvlm_course.models.loading import load_processor
            from radvlm_course.models.weight_files import is_adapter

            if is_adapter(self.model):
                raise EngineError(
                    f"{self.model} is an adapter, and vLLM is given whole models here: merge it first, with python -m "
                    f"radvlm_course merge --model {self.model} --output FOLDER"
                )
            self._processor = load_processor(self.model, self.generation.max_pixels)
        return self._processor

    def _open(self) -> tuple[Any, Any]:
        from radvlm_course.models.tiny import never_sampled_token_ids

        try:
            from vllm import LLM, SamplingParams
        except ImportError as error:
            raise EngineError(
                f"the engine vllm needs the package vllm, which cannot be imported here ({error}): install it beside a "
                "CUDA build of torch, or use --engine transformers"
            ) from error
        size = dict(self._own_processor().image_processor.size)
        arguments = {
            "model": self._servable(),
            "dtype": chosen_dtype(self.model, self.generation),
            "seed": self.generation.seed,
            "max_model_len": self._longest(),
            "limit_mm_per_prompt": {"image": 1, "video": 0},
            "mm_processor_kwargs": {"size": size},
            **self.options,
        }
        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=self.generation.max_new_tokens,
            detokenize=False,
            logit_bias=dict.fromkeys(never_sampled_token_ids(self._own_processor().tokenizer), -100.0),
        )
        return LLM(**arguments), sampling

    def _servable(self) -> str:
        """The model as vLLM can load it: it also builds the processor of videos, whose settings an image-only folder
        lacks. Such a folder is mirrored by links, with the settings of its images for videos."""
        folder = Path(self.model)
        if not folder.is_dir() or has_video_settings(folder):
            return self.model
        self._mirror = tempfile.TemporaryDirectory(prefix="radvlm_course_vllm_")
        mirror_for_vllm(folder, Path(self._mirror.name), self._own_processor())
        return str(self._mirror.name)

    def _longest(self) -> int:
        """Tokens of the longest prompt with its answer: vLLM reserves memory for no more."""
        from transformers import AutoConfig

        images = self._own_processor().image_processor
        film = images.size["longest_edge"] // (images.patch_size * images.merge_size) ** 2
        limit = AutoConfig.from_pretrained(self.model).get_text_config().max_position_embeddings
        return int(min(film + _TEXT_TOKENS + self.generation.max_new_tokens, limit))


def _render(processor: ImageOnlyQwen3VLProcessor, example: Example, thinking: bool) -> str:
    text = processor.apply_chat_template(to_messages(example, thinking), tokenize=False, add_generation_prompt=True)
    return str(text)


def prompt_token_ids(
    processor: ImageOnlyQwen3VLProcessor, example: Example, film: Image, thinking: bool = False
) -> list[int]:
    """The tokens of a prompt with its film, as ``processor(images, text).input_ids`` gives them, from the film's size
    alone.

    Args:
        film: the decoded film, of which only the size in pixels is used.
    """
    images = processor.image_processor
    patches = images.get_number_of_image_patches(height=film.height, width=film.width)
    text = _render(processor, example, thinking)
    expanded = text.replace(processor.image_token, processor.image_token * (patches // images.merge_size**2), 1)
    return list(processor.tokenizer(expanded)["input_ids"])
