"""Our rewards through verl's own reward loop and managers, on the rows that the course writes, equal direct calls."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from verl import DataProto
from verl.experimental.reward_loop import RewardLoopWorker
from verl.trainer.ppo.utils import create_rl_dataset
from verl.utils import hf_tokenizer
from verl.utils.dataset.rl_dataset import collate_fn
from verl.workers.reward_manager import get_reward_manager_cls

from radvlm_course.chat import split_thought
from radvlm_course.rewards import RewardError, get_reward
from radvlm_course.rewards.verl_adapter import compute_score_batch

THOUGHT = "<think>The heart is large. [0.1, 0.1, 0.9, 0.9]</think>\n"


@pytest.fixture(scope="session")
def tokenizer(tiny_folder):
    return hf_tokenizer(str(tiny_folder))


@pytest.fixture(scope="session")
def processor(tiny_folder):
    from radvlm_course.models.loading import load_processor

    return load_processor(tiny_folder)


@pytest.fixture(scope="session")
def variant(composed, corpus, tiny_folder):
    """A variant on the phantoms, with the tiny model's tokenizer."""

    def variant(name, *overrides):
        paths = [f"course.data={corpus}", f"course.model={tiny_folder}"]
        config = composed(name, *paths, *overrides)
        there = [path for path in config.data.train_files if os.path.exists(path)]  # phantoms have no phrases
        config.data.train_files = there
        return config

    return variant


def rows(config, tokenizer, processor):
    """All rows, read by verl's own dataset and put into a batch by its own collation."""
    dataset = create_rl_dataset(config.data.train_files, config.data, tokenizer, processor)
    assert len(dataset) >= 4
    return collate_fn([dataset[index] for index in range(len(dataset))])


def responses(batch, thinking):
    """Right, wrong, cut short, empty, with a thought and without: whatever a policy may write."""
    texts = []
    for index, model in enumerate(batch["reward_model"]):
        answer = model["ground_truth"]
        texts.append(
            [answer, answer[: len(answer) // 2], "", THOUGHT + answer, "<think>" + answer, "No. [0.2, 0.3, 0.4, 0.5]"][
                index % 6
            ]
        )
    return [THOUGHT + text for text in texts[:3]] + texts[3:] if thinking else texts


def as_verl_has_them(batch, texts, tokenizer):
    """The batch after generation: prompts padded on the left, responses with an end token, padded on the right."""
    prompt = torch.tensor([tokenizer.pad_token_id, 5, 6])
    written = [tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for text in texts]
    longest = max(map(len, written))
    padded = torch.tensor([ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids in written])
    lengths = torch.tensor([len(ids) for ids in written])
    mask = torch.cat(
        [torch.tensor([[0, 1, 1]]).expand(len(texts), 3), (torch.arange(longest) < lengths[:, None]).long()], 1
    )
    tensors = {
        "prompts": prompt.expand(len(texts), 3).clone(),
        "responses": padded,
        "attention_mask": mask,
        "input_ids": torch.cat([prompt.expand(len(texts), 3), padded], 1),
    }
    others = {name: value for name, value in batch.items() if not isinstance(value, torch.Tensor)}
    return DataProto.from_dict(tensors=tensors, non_tensors=others), lengths


def direct(batch, texts, **arguments):
    return compute_score_batch(
        batch["data_source"], texts, [model["ground_truth"] for model in batch["reward_model"]], batch["extra_info"],
        **arguments,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reward", "thinking"),
    [
        ("radvlm_instruct_google_bleu", "gleu", False),
        ("grounding", "soft_f1", False),
        ("grounding_radvlm_thinking", "soft_f1", True),
        ("grounding_qwen3vl_thinking", "soft_f1", True),
    ],
)
def test_the_reward_loop_gives_what_direct_calls_give(variant, tokenizer, processor, name, reward, thinking):
    config = variant(name)
    batch = rows(config, tokenizer, processor)
    texts = responses(batch, thinking)
    data, lengths = as_verl_has_them(batch, texts, tokenizer)
    worker = RewardLoopWorker(
        config
    )  # as its processes do: tokenizer, reward function and manager from the configuration
    outputs = worker.loop.run_until_complete(worker.compute_score_batch(data))
    expected = direct(batch, texts, rewards=reward)
    assert [output["reward_score"] for output in outputs] == [score["score"] for score in expected]
    assert [output["reward_extra_info"] for output in outputs] == expected
    assert len({output["reward_score"] for output in outputs}) > 2 and max(e["score"] for e in expected) > 0.95
    scores = type(worker.reward_manager).assemble_rm_scores(data, [output["reward_score"] for output in outputs])
    last = scores[torch.arange(len(texts)), lengths - 1]  # on each response's last token, and nowhere else
    torch.testing.assert_close(last, torch.tensor([score["score"] for score in expected]))
    assert torch.equal(scores.sum(1), last)


@pytest.mark.parametrize("name", ["radvlm_instruct_google_bleu", "grounding_radvlm_thinking"])
@pytest.mark.parametrize("manager", ["naive", "batch"])
def test_the_older_managers_give_them_too(variant, tokenizer, processor, name, manager):
    """verl.workers.reward_manager: ``naive`` calls for one row, ``batch`` for all of them."""
    from radvlm_course.rewards import verl_adapter

    config = variant(name)
    batch = rows(config, tokenizer, processor)
    texts = responses(batch, "thinking" in name)
    data, lengths = as_verl_has_them(batch, texts, tokenizer)
    function = verl_adapter.compute_score if manager == "naive" else verl_adapter.compute_score_batch
    kwargs = OmegaConf.to_container(config.reward.custom_reward_function.reward_kwargs)
    made = get_reward_manager_cls(manager)(tokenizer, num_examine=0, compute_score=partial(function, **kwargs))
    result = made(data, return_dict=True)
    expected = direct(batch, texts, **kwargs)
    given = result["reward_tensor"][torch.arange(len(texts)), lengths - 1]
    torch.testing.assert_close(given, torch.tensor([score["score"] for score in expected]))


def test_a_service_scores_what_the_configuration_sends_it(variant, tokenizer, processor):
    """The variant's own settings, with a reward that needs no weights: its function, its addresses, verl's loop."""
    command = [sys.executable, "-m", "radvlm_course", "serve-rewards", "--rewards", "gleu", "--port", "0"]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = service.stdout.readline().split()[-1]
        config = variant(
            "radvlm_thinking_radcliq",
            f'course.reward_service=["{url}"]',
            "reward.custom_reward_function.reward_kwargs.rewards=gleu",
        )
        batch = rows(config, tokenizer, processor)
        texts = responses(batch, True)
        data, _ = as_verl_has_them(batch, texts, tokenizer)
        worker = RewardLoopWorker(config)
        outputs = worker.loop.run_until_complete(worker.compute_score_batch(data))
    finally:
        service.terminate()
        assert service.wait(60) == 0
    expected = direct(batch, texts, rewards="gleu")
    assert [output["reward_extra_info"] for output in outputs] == expected


def test_thoughts_are_taken_off_before_scoring(variant, tokenizer, processor):
    config = variant("grounding_radvlm_thinking")
    batch = rows(config, tokenizer, processor)
    answers = [model["ground_truth"] for model in batch["reward_model"]]
    data, _ = as_verl_has_them(batch, [THOUGHT + answer for answer in answers], tokenizer)
    worker = RewardLoopWorker(config)
    outputs = worker.loop.run_until_complete(worker.compute_score_batch(data))
    scores = np.array([output["reward_score"] for output in outputs])
    assert (scores > 0.9).all()  # the box in the thought would cost a third; the answer's two decimals cost little
    unfinished, _ = as_verl_has_them(batch, ["<think>" + answer for answer in answers], tokenizer)
    outputs = worker.loop.run_until_complete(worker.compute_score_batch(unfinished))
    assert {output["reward_score"] for output in outputs} == {0.0}


def test_a_row_that_cannot_be_scored_stops_verl_and_is_named(variant, tokenizer, processor):
    config = variant("grounding")
    batch = rows(config, tokenizer, processor)
    batch["data_source"][1] = "gsm8k"
    data, _ = as_verl_has_them(batch, responses(batch, False), tokenizer)
    worker = RewardLoopWorker(config)
    identifier = batch["extra_info"][1]["id"]
    with pytest.raises(RewardError, match=f"{identifier}.*the data_source 'gsm8k' names no task"):
        worker.loop.run_until_complete(worker.compute_score_batch(data))


def test_it_gives_what_the_reward_itself_gives(variant, tokenizer, processor):
    """Not only what the adapter says: the reward on the course's own examples."""
    from radvlm_course.records import Example, read_jsonl

    config = variant("grounding")
    batch = rows(config, tokenizer, processor)
    folder = os.path.dirname(os.path.dirname(config.data.train_files[0]))
    examples = {example.id: example for example in read_jsonl(f"{folder}/train.jsonl", Example)}
    texts = responses(batch, False)
    data, _ = as_verl_has_them(batch, texts, tokenizer)
    worker = RewardLoopWorker(config)
    outputs = worker.loop.run_until_complete(worker.compute_score_batch(data))
    mine = [examples[info["id"]] for info in batch["extra_info"]]
    answers = [split_thought(text, thinking=False).response or "" for text in texts]
    assert [output["reward_score"] for output in outputs] == get_reward("soft_f1")(answers, mine)
