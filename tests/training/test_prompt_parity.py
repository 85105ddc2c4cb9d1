"""TRL's own generation with vLLM, on an engine and on a server that stand in for vLLM.

vLLM needs a GPU. The stand-ins have its interface (``vllm/entrypoints/llm.py``, ``vllm/outputs.py`` and the paths of
its server that TRL's client calls, of vLLM 0.30) and answer in its forms; everything between them and the loss is TRL's
code.
"""

import http.server
import json
import os
import threading
from types import SimpleNamespace

import pytest
import trl.generation.vllm_client as vllm_client
import trl.generation.vllm_generation as vllm_generation

import radvlm_course.training.grpo as grpo
from radvlm_course.models.loading import load_model
from radvlm_course.runs import read_metrics, read_rollouts
from radvlm_course.training.prompt_parity import (
    ChecksPrompts,
    PromptMismatch,
    VllmServerError,
    check_prompts,
    compare_prompts,
)

OPTIONS = {
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_steps": 2,
    "learning_rate": 1e-4,
    "beta": 0.01,
    "max_completion_length": 24,
    "logging_steps": 1,
    "save_strategy": "no",
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "use_vllm": True,
}
SET_BY_TRL = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ANSWERS = ("[0.10, 0.10, 0.90, 0.90]", "[0.20, 0.10, 0.60, 0.50]", "none", "[0.40, 0.40, 0.90, 0.90]")


def doubled(prompt, image):
    """What a release of vLLM once did: every image token expanded again."""
    return [token for one in prompt for token in ([one, one] if one == image else [one])]


class SamplingParams:
    def __init__(
        self, n=1, *, presence_penalty=0.0, frequency_penalty=0.0, repetition_penalty=1.0, temperature=1.0, top_p=1.0,
        top_k=0, min_p=0.0, seed=None, stop=None, stop_token_ids=None, ignore_eos=False, max_tokens=16, min_tokens=0,
        logprobs=None, prompt_logprobs=None, detokenize=True, skip_special_tokens=True, logit_bias=None, bad_words=None,
        structured_outputs=None,
    ):  # fmt: skip
        vars(self).update({key: value for key, value in locals().items() if key != "self"})


class LLM:
    """Answers from a list; of its arguments those are known that TRL gives."""

    made, changed = None, staticmethod(lambda prompt: prompt)

    def __init__(
        self, model, *, tensor_parallel_size, gpu_memory_utilization, max_model_len, max_num_seqs, enable_sleep_mode,
        model_impl, distributed_executor_backend, seed, max_num_batched_tokens, logprobs_mode, quantization,
        trust_remote_code,
    ):  # fmt: skip
        from pathlib import Path

        from radvlm_course.models.loading import load_processor

        self.folder = {path.name: path.read_bytes() for path in Path(model).iterdir()}
        self.tokenizer = load_processor(model).tokenizer
        self.weights, self.prompts, self.sampling = 0, [], None
        runner = SimpleNamespace(model_runner=SimpleNamespace(model=self))
        self.llm_engine = SimpleNamespace(model_executor=SimpleNamespace(driver_worker=runner))
        type(self).made = self

    def load_weights(self, named):
        self.weights += len(list(named))

    def reset_prefix_cache(self):
        return True

    def generate(self, prompts, sampling_params=None, *, use_tqdm=True):
        self.sampling = sampling_params
        outputs = []
        for place, prompt in enumerate(prompts):
            assert set(prompt) == {"prompt_token_ids", "multi_modal_data"}
            self.prompts.append(prompt)
            tokens = [*self.tokenizer(ANSWERS[place % 4])["input_ids"], self.tokenizer.eos_token_id]
            logprobs = [{token: SimpleNamespace(logprob=-1.5, rank=1)} for token in tokens]
            answer = SimpleNamespace(token_ids=tokens, logprobs=logprobs, finish_reason="stop")
            read = type(self).changed(prompt["prompt_token_ids"])
            outputs.append(SimpleNamespace(prompt_token_ids=read, outputs=[answer]))
        return outputs


@pytest.fixture
def engine(monkeypatch):
    """vLLM in this process, as TRL imports it."""

    class Fresh(LLM):
        pass

    monkeypatch.setattr(vllm_generation, "is_vllm_available", lambda *args, **kwargs: True)
    monkeypatch.setattr(vllm_generation, "LLM", Fresh, raising=False)
    monkeypatch.setattr(vllm_generation, "SamplingParams", SamplingParams, raising=False)
    for name in SET_BY_TRL:
        monkeypatch.delenv(name, raising=False)
    yield Fresh
    for name in SET_BY_TRL:
        os.environ.pop(name, None)


def test_grpo_trains_on_what_a_colocated_vllm_writes_where_it_reads_our_prompts(
    engine, tiny_folder, grounding_examples, tmp_path
):
    model, processor = load_model(tiny_folder)
    trainer = grpo.run_grpo(model, processor, grounding_examples, "soft_f1", tmp_path, OPTIONS, seed=0)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    assert {rollout.completion for rollout in read_rollouts(tmp_path)} == set(ANSWERS)
    (checks,) = [each for each in trainer.callback_handler.callbacks if isinstance(each, ChecksPrompts)]
    assert checks.compared == 16
    assert engine.made.weights > 100  # TRL hands all of them over before each generation
    image = processor.image_token_id
    assert all(prompt["prompt_token_ids"].count(image) == 16 for prompt in engine.made.prompts)  # 64 x 64, patches of 8
    assert image in engine.made.sampling.logit_bias
    assert model.name_or_path == str(tiny_folder)


def test_vllm_finds_the_pixel_limit_of_training_and_settings_for_videos_in_its_folder(
    engine, tiny_folder, grounding_examples, tmp_path
):
    from radvlm_course.models.loading import load_processor

    model, _ = load_model(tiny_folder)
    processor = load_processor(tiny_folder, 32 * 32)
    grpo.run_grpo(model, processor, grounding_examples, "soft_f1", tmp_path, {**OPTIONS, "max_steps": 1}, seed=0)
    files = engine.made.folder
    assert json.loads(files["processor_config.json"])["image_processor"]["size"]["longest_edge"] == 32 * 32
    assert json.loads(files["video_preprocessor_config.json"])["video_processor_type"] == "Qwen3VLVideoProcessor"
    assert files["model.safetensors"] == (tiny_folder / "model.safetensors").read_bytes()


def test_a_vllm_that_expands_image_tokens_twice_stops_training_before_the_first_update(
    engine, tiny_folder, grounding_examples, tmp_path
):
    model, processor = load_model(tiny_folder)
    engine.changed = staticmethod(lambda prompt: doubled(prompt, processor.image_token_id))
    with pytest.raises(PromptMismatch) as caught:
        grpo.run_grpo(model, processor, grounding_examples, "soft_f1", tmp_path, OPTIONS, seed=0)
    message = str(caught.value)
    assert "Prompt 0 of the batch differs first at token" in message
    assert (
        f"the trainer has {processor.tokenizer.convert_tokens_to_ids('<|vision_end|>')} ('<|vision_end|>')" in message
    )
    assert f"vLLM has {processor.image_token_id} ('<|image_pad|>')" in message
    assert "Image tokens: 16 in the trainer's, 32 in vLLM's" in message
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_prompt_that_goes_wrong_later_stops_training_then(engine, tiny_folder, grounding_examples, tmp_path):
    model, processor = load_model(tiny_folder)
    seen = []

    def changed(prompt):
        seen.append(prompt)
        return prompt if len(seen) <= 11 else prompt[:-1]

    engine.changed = staticmethod(changed)
    with pytest.raises(PromptMismatch, match=r"Prompt 3 of the batch .* vLLM has ended before"):
        grpo.run_grpo(model, processor, grounding_examples, "soft_f1", tmp_path, OPTIONS, seed=0)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([[1, 2, 3]], "vLLM read 1 prompts, expected 2"),
        ([[1, 2, 3], None], "does not say which tokens it read of prompt 1"),
        ([[1, 2, 3], [4, 6]], r"Prompt 1 of the batch differs first at token 1: the trainer has 5 .* vLLM has 6 "),
        ([[1, 2, 3], [4, 5, 9]], r"first at token 2: the trainer has ended before, vLLM has 9 "),
    ],
)
def test_every_difference_is_named(found, message, loaded):
    with pytest.raises(PromptMismatch, match=message):
        compare_prompts([[1, 2, 3], [4, 5]], found, loaded.processor)


def test_equal_prompts_pass_whatever_sequence_they_are_in(loaded):
    compare_prompts([[1, 2, 3], [4, 5]], [(1, 2, 3), [4, 5]], loaded.processor)


def test_another_form_of_trls_class_is_an_error_and_not_a_check_less(loaded, tmp_path):
    class Renamed:
        mode = "colocate"

        def generate(self, prompt_ids, images, num_generations, profiler=None):
            return prompt_ids, [], None, None

    with pytest.raises(RuntimeError, match=r"Renamed.generate with the arguments self, prompts, .*TRL has changed"):
        check_prompts(Renamed(), loaded.processor, tmp_path)


def test_a_step_without_a_comparison_stops_training():
    with pytest.raises(RuntimeError, match=r"no prompt of it was compared\. TRL has changed"):
        ChecksPrompts().on_step_end(None, None, None)


def test_another_form_of_the_answer_is_an_error(loaded, tmp_path):
    class Shorter:
        mode = "colocate"

        def generate(self, prompts, images, num_generations, profiler=None):
            return prompts, [], None

    generation = Shorter()
    check_prompts(generation, loaded.processor, tmp_path)
    with pytest.raises(RuntimeError, match="TRL has changed"):
        generation.generate(prompts=[[1]], images=None, num_generations=1)


class Server(http.server.ThreadingHTTPServer):
    """The paths of ``vllm serve`` that TRL's client calls."""

    daemon_threads = True

    def __init__(self, tokenizer, film_tokens):
        super().__init__(("127.0.0.1", 0), Answers)
        self.tokenizer, self.film_tokens, self.asked, self.dead = tokenizer, film_tokens, [], False
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"data": [{"id": "tiny"}]} if self.path == "/v1/models" else {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.server.asked.append(self.path)
        if self.server.dead:
            self.answer({"error": "EngineDeadError"}, 400)
        elif self.path == "/v1/chat/completions/render":
            film = {"offset": 5, "length": self.server.film_tokens}
            features = {"mm_hashes": {"image": ["a"]}, "mm_placeholders": {"image": [film]}, "kwargs_data": None}
            self.answer({"token_ids": [1, 2], "features": features})
        elif self.path == "/inference/v1/generate":
            self.answer({"choices": [self.choice(text) for text in ANSWERS[: body["sampling_params"]["n"]]]})
        else:
            self.answer({"success": True})

    def choice(self, text):
        tokens = [*self.server.tokenizer(text)["input_ids"], self.server.tokenizer.eos_token_id]
        content = [{"token": f"token_id:{token}", "logprob": -1.5, "top_logprobs": []} for token in tokens]
        return {"token_ids": tokens, "logprobs": {"content": content}}

    def answer(self, values, status=200):
        text = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(engine, monkeypatch, loaded):
    """A running stand-in for ``vllm serve``, and TRL's client without its NCCL group, which needs a GPU."""

    class Client(vllm_client.VLLMClient):
        def init_communicator(self, device=0):
            pass

        def update_named_params(self, metadata, named_params):
            assert len(list(named_params)) == len(metadata)

    monkeypatch.setattr(vllm_client, "is_vllm_available", lambda *args, **kwargs: True)
    monkeypatch.setattr(vllm_generation, "VLLMClient", Client)
    running = Server(loaded.processor.tokenizer, film_tokens=16)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def served(server):
    return {**OPTIONS, "vllm_mode": "server", "vllm_server_base_url": server.url, "vllm_server_timeout": 5.0}


def test_grpo_trains_on_what_a_vllm_server_writes_where_it_makes_as_many_tokens_of_a_film(
    server, loaded, grounding_examples, tmp_path
):
    trainer = grpo.run_grpo(*loaded, grounding_examples, "soft_f1", tmp_path, served(server), seed=0)
    assert {rollout.completion for rollout in read_rollouts(tmp_path)} == set(ANSWERS)
    assert server.asked.count("/v1/chat/completions/render") == server.asked.count("/inference/v1/generate") == 4
    (checks,) = [each for each in trainer.callback_handler.callbacks if isinstance(each, ChecksPrompts)]
    assert checks.compared == 16


def test_a_server_with_another_pixel_limit_stops_training_although_it_echoes_our_tokens(
    server, loaded, grounding_examples, tmp_path
):
    server.film_tokens = 64
    with pytest.raises(PromptMismatch) as caught:
        grpo.run_grpo(*loaded, grounding_examples, "soft_f1", tmp_path, served(server), seed=0)
    assert "Image tokens: 16 in the trainer's, 64 in vLLM's" in str(caught.value)
    assert "pixel limit" in str(caught.value)
    assert "/inference/v1/generate" not in server.asked


def test_a_server_that_fails_in_training_is_named_with_what_to_do(server, loaded, grounding_examples, tmp_path):
    def die(prompts, completions, **columns):
        server.dead = True
        return [float(len(completion[0]["content"])) for completion in completions]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "as_trl_reward", lambda *args, **kwargs: die)
        with pytest.raises(VllmServerError) as caught:
            grpo.run_grpo(*loaded, grounding_examples, "soft_f1", tmp_path, served(server), seed=0)
    message = str(caught.value)
    assert f"the vLLM server at {server.url} stopped answering" in message and "EngineDeadError" in message
    assert "the same command: it goes on from the last checkpoint" in message


def test_a_server_that_answers_no_more_ends_the_waiting(server, loaded, monkeypatch, tmp_path):
    import socket

    import radvlm_course.training.prompt_parity as prompt_parity

    monkeypatch.setattr(prompt_parity, "ANSWER_SECONDS", 0.3)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        generation = object.__new__(vllm_generation.VLLMGeneration)
        client = object.__new__(vllm_client.VLLMClient)
        client.session, client.base_url = vllm_client.requests.Session(), f"http://127.0.0.1:{deaf.getsockname()[1]}"
        generation.mode, generation.vllm_client = "server", client
        generation.sync_weights = lambda: client.reset_prefix_cache()
        check_prompts(generation, loaded.processor, tmp_path)
        with pytest.raises(VllmServerError, match=r"stopped answering .*timed out"):
            generation.sync_weights()
