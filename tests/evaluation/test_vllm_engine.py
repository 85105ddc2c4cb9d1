"""vLLM's engine against a stand-in with the signatures of vLLM 0.30, which runs the tiny model by transformers.

It shows that our calls fit the real ones and that every answer is held against our own prompt. The signatures are those
of ``vllm/entrypoints/llm.py``, ``vllm/sampling_params.py`` and ``vllm/outputs.py`` of the wheel of 0.30.0.
"""

import json
import sys
import types
from pathlib import Path

import pytest

from radvlm_course.chat import to_messages
from radvlm_course.evaluation.engines import EngineError, Generation, TransformersEngine
from radvlm_course.evaluation.vllm_engine import VllmEngine, prompt_token_ids
from radvlm_course.images import load_image
from radvlm_course.models.loading import load_processor

GREEDY = Generation(max_new_tokens=8, batch_size=5)


class SamplingParams:
    def __init__(
        self, n=1, *, presence_penalty=0.0, frequency_penalty=0.0, repetition_penalty=1.0, temperature=1.0, top_p=1.0,
        top_k=0, min_p=0.0, seed=None, stop=None, stop_token_ids=None, ignore_eos=False, max_tokens=16, min_tokens=0,
        logprobs=None, prompt_logprobs=None, detokenize=True, skip_special_tokens=True, logit_bias=None, bad_words=None,
    ):  # fmt: skip
        vars(self).update({key: value for key, value in locals().items() if key != "self"})


class LLM:
    """Of the arguments that vLLM hands on to its engine, those that are used here are known."""

    made = None

    def __init__(
        self, model, *, runner="auto", tokenizer=None, trust_remote_code=False, tensor_parallel_size=1, dtype="auto",
        quantization=None, revision=None, seed=0, gpu_memory_utilization=0.92, enforce_eager=False, hf_overrides=None,
        mm_processor_kwargs=None, max_model_len=None, limit_mm_per_prompt=None, enable_prefix_caching=None,
    ):  # fmt: skip
        self.arguments = {key: value for key, value in locals().items() if key != "self"}
        limit = mm_processor_kwargs["size"]["longest_edge"]
        self.engine = TransformersEngine(model, Generation(8, 64, max_pixels=limit))
        self.twice, self.reason, self.lost = 1, None, 0
        self.sizes = []
        type(self).made = self

    def generate(
        self, prompts, sampling_params=None, *, use_tqdm=True, lora_request=None, priority=None,
        tokenization_kwargs=None, mm_processor_kwargs=None,
    ):  # fmt: skip
        self.sampling = sampling_params
        self.sizes.append(len(prompts))
        self.engine._loaded = self.engine._loaded or self.engine._load()
        return [self._answer(prompt) for prompt in prompts[self.lost :]]

    def _answer(self, prompt):
        assert set(prompt) == {"prompt", "multi_modal_data"}
        model, processor = self.engine._loaded
        inputs = processor(images=[prompt["multi_modal_data"]["image"]], text=[prompt["prompt"]], return_tensors="pt")
        suppressed = list(self.sampling.logit_bias)
        ids = model.generate(
            **inputs, do_sample=False, max_new_tokens=self.sampling.max_tokens, suppress_tokens=suppressed
        )[0]
        start = inputs["input_ids"].shape[1]
        stopped = processor.tokenizer.eos_token_id in ids[start:].tolist()
        read = inputs["input_ids"][0].tolist()
        if self.twice > 1:
            read = [token for token in read for _ in range(self.twice if token == processor.image_token_id else 1)]
        reason = self.reason or ("stop" if stopped else "length")
        completion = types.SimpleNamespace(text="", token_ids=ids[start:].tolist(), finish_reason=reason)
        return types.SimpleNamespace(prompt_token_ids=read, outputs=[completion])


@pytest.fixture
def vllm(monkeypatch):
    module = types.ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", module)


def test_answers_are_those_of_transformers(vllm, tiny_folder, grounding_examples):
    found = list(VllmEngine(str(tiny_folder), GREEDY).complete(grounding_examples))
    assert found == list(TransformersEngine(str(tiny_folder), GREEDY).complete(grounding_examples))
    assert LLM.made.sizes == [5, 5, 2]


def test_decoding_is_greedy_and_image_tokens_are_never_written(vllm, tiny_folder, grounding_examples):
    engine = VllmEngine(str(tiny_folder), Generation(8, 5, dtype="float16", seed=7), {"tensor_parallel_size": 2})
    list(engine.complete(grounding_examples[:1]))
    sampling, arguments = LLM.made.sampling, LLM.made.arguments
    assert (sampling.temperature, sampling.repetition_penalty, sampling.max_tokens) == (0.0, 1.0, 8)
    processor = load_processor(str(tiny_folder), None)
    assert sampling.logit_bias[processor.image_token_id] == -100.0
    assert (arguments["dtype"], arguments["seed"], arguments["tensor_parallel_size"]) == ("float16", 7, 2)
    assert arguments["limit_mm_per_prompt"] == {"image": 1, "video": 0}
    assert arguments["mm_processor_kwargs"] == {"size": {"shortest_edge": 4096, "longest_edge": 4096}}
    # 64 x 64 pixels in patches of 8, four of which make a token, and the tiny model's 4096 positions are not exceeded
    assert arguments["max_model_len"] == 16 + 2048 + 8


def test_an_image_only_folder_is_mirrored_with_settings_for_videos(vllm, tiny_folder, grounding_examples):
    engine = VllmEngine(str(tiny_folder), GREEDY)
    list(engine.complete(grounding_examples[:1]))
    mirror = Path(LLM.made.arguments["model"])
    added = {path.name for path in mirror.iterdir()} - {path.name for path in tiny_folder.iterdir()}
    assert added == {"video_preprocessor_config.json"}
    assert (mirror / "model.safetensors").samefile(tiny_folder / "model.safetensors")
    settings = json.loads((mirror / "video_preprocessor_config.json").read_text())
    assert (settings["patch_size"], settings["video_processor_type"]) == (8, "Qwen3VLVideoProcessor")
    complete_folder = VllmEngine(str(mirror), GREEDY)
    list(complete_folder.complete(grounding_examples[:1]))
    assert LLM.made.arguments["model"] == str(mirror)


def test_a_prompt_that_vllm_reads_in_another_way_is_refused(vllm, tiny_folder, grounding_examples):
    engine = VllmEngine(str(tiny_folder), GREEDY)
    list(engine.complete(grounding_examples[:1]))
    LLM.made.twice = 2
    with pytest.raises(EngineError, match=r"example 'e3': \d+ tokens, 32 of them of the image, expected \d+ with 16"):
        list(engine.complete(grounding_examples[3:]))


def test_an_answer_that_was_aborted_or_lost_is_an_error_and_not_an_answer(vllm, tiny_folder, grounding_examples):
    engine = VllmEngine(str(tiny_folder), GREEDY)
    list(engine.complete(grounding_examples[:1]))
    LLM.made.reason = "abort"
    with pytest.raises(EngineError, match=r"did not finish its answer to example 'e0' .*'abort'"):
        list(engine.complete(grounding_examples))
    LLM.made.reason, LLM.made.lost = None, 1
    with pytest.raises(EngineError, match="4 answers to 5 prompts"):
        list(engine.complete(grounding_examples))


def test_without_vllm_the_error_names_the_other_engine(monkeypatch, tiny_folder, grounding_examples):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(EngineError, match=r"needs the package vllm.*--engine transformers"):
        list(VllmEngine(str(tiny_folder), GREEDY).complete(grounding_examples))


@pytest.mark.parametrize("max_pixels", [None, 1024, 4096])
@pytest.mark.parametrize("thinking", [False, True])
def test_the_expected_prompt_is_what_the_processor_makes_of_the_film(
    tiny_folder, grounding_examples, max_pixels, thinking
):
    processor = load_processor(str(tiny_folder), max_pixels)
    film = load_image(grounding_examples[0].image_path)
    for picture in (film, film.resize((90, 40)), film.resize((33, 121))):
        messages = to_messages(grounding_examples[0], thinking)
        text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        whole = processor(images=[picture], text=[text])["input_ids"][0]
        assert prompt_token_ids(processor, grounding_examples[0], picture, thinking) == list(whole)
