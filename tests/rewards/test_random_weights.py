"""Random weights: the layouts load, the same seed gives the same files, another process finds them."""

import os
import subprocess
import sys

from radvlm_course.rewards import random_weights, weights


def test_layouts_are_those_that_the_packages_read(metric_weights) -> None:
    for model in ("radgraph-xl", "radgraph"):
        folder = weights.radgraph_folder(model)
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", "vocabulary", "weights.th"]
    assert weights.chexbert_checkpoint().is_file()


def test_the_same_seed_gives_the_same_weights_and_the_random_state_stays(metric_weights_folder, tmp_path) -> None:
    import torch

    before = torch.random.get_rng_state()
    words = ("effusions", "bases", "catheter", "improved", "svc", "pneumonia", "kyphosis")
    again = random_weights.build(tmp_path, words=words)
    assert torch.equal(before, torch.random.get_rng_state())
    name = "cache/chexbert/chexbert.pth"
    first, second = (torch.load(folder / name)["model_state_dict"] for folder in (metric_weights_folder, again))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_another_process_finds_them_through_the_environment(metric_weights_folder) -> None:
    code = "from radvlm_course.rewards import get_reward; print(get_reward('radcliq', device='cpu').name)"
    environment = {**os.environ, **random_weights.environment(metric_weights_folder)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "radcliq\n"


def test_they_are_used_within_the_block_only(metric_weights_folder, monkeypatch) -> None:
    monkeypatch.setenv(weights.FOLDER_VARIABLE, "elsewhere")
    with random_weights.used(metric_weights_folder):
        assert weights.chexbert_checkpoint().is_file()
    assert os.environ[weights.FOLDER_VARIABLE] == "elsewhere"
