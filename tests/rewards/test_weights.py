"""Which weights a reward needs, whether they are here, and what is said if they are not. No network."""

import json
import tarfile

import pytest

from radvlm_course.rewards import RewardError, get_reward, weights


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """A machine without any weights."""
    from huggingface_hub import constants

    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def names(reward: str) -> list[str]:
    return [entry.name for entry in weights.missing(reward)]


def test_what_is_missing_is_listed_for_each_reward(nothing) -> None:
    assert names("gleu") == names("soft_f1") == []
    assert names("bertscore") == ["distilbert-base-uncased"]
    assert names("radgraph") == ["radgraph-xl"]
    assert names("radcliq") == ["radgraph-xl", "chexbert", "bert-base-uncased", "distilroberta-base"]


def test_nothing_of_the_scorers_own_is_missing_where_the_weights_are(metric_weights) -> None:
    assert names("radgraph") == []
    assert "chexbert" not in names("radcliq")


@pytest.mark.parametrize("reward", ["radgraph", "chexbert", "bertscore", "radcliq"])
def test_a_reward_without_its_weights_says_which_command_fetches_them(nothing, reward) -> None:
    with pytest.raises(RewardError, match=r"expected .* found .*python -m radvlm_course\.rewards\.weights \w+"):
        get_reward(reward)


def test_loading_asks_no_server(metric_weights, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def refuse(*arguments, **options):
        raise AssertionError("a server was asked")

    monkeypatch.setattr("httpx.Client.send", refuse)
    for reward in ("radgraph", "chexbert", "bertscore", "radcliq"):
        get_reward(reward, dtype="bfloat16")


def test_an_archive_is_unpacked_whole(tmp_path) -> None:
    source = tmp_path / "source"
    (source / "vocabulary").mkdir(parents=True)
    (source / "weights.th").write_text("w")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        for path in source.iterdir():
            archive.add(path, path.name)
    target = tmp_path / "cache" / "radgraph-xl"
    target.mkdir(parents=True)  # half unpacked, from an earlier attempt
    assert weights._unpack(tmp_path / "model.tar.gz", target) == target
    assert sorted(path.name for path in target.iterdir()) == ["vocabulary", "weights.th"]
    assert [path.name for path in target.parent.iterdir()] == ["radgraph-xl"]
    assert target.stat().st_mode == target.parent.stat().st_mode  # open to those who share the cache


def test_a_radgraph_model_is_whole_with_its_settings_and_its_encoder(nothing) -> None:
    folder = weights.radgraph_folder("radgraph-xl")
    folder.mkdir(parents=True)
    (folder / "weights.th").write_text("w")
    assert names("radgraph") == ["radgraph-xl"]
    for encoder, missing in (("some/encoder", ["radgraph-xl"]), (str(nothing), [])):
        settings = {"dataset_reader": {"token_indexers": {"bert": {"model_name": encoder}}}}
        (folder / "config.json").write_text(json.dumps(settings))
        assert names("radgraph") == missing


def test_every_radgraph_model_that_can_be_chosen_can_be_fetched() -> None:
    assert set(weights.RADGRAPH_MODELS) <= {entry.name for entry in weights.WEIGHTS}


def test_fetching_downloads_what_is_missing_and_puts_it_where_it_is_read(nothing, monkeypatch) -> None:
    import huggingface_hub

    asked = []

    def download(repository, file):
        asked.append((repository, file))
        path = nothing / "blobs" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("weights")
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    weights.fetch(["chexbert"])
    assert ("StanfordAIMI/RRG_scorers", "chexbert.pth") in asked
    assert weights.chexbert_checkpoint().read_text() == "weights"
    assert "chexbert" not in names("chexbert")


def test_the_radgraph_model_that_a_reward_is_built_with_is_the_one_that_is_missing(nothing) -> None:
    assert [entry.name for entry in weights.missing("radgraph", "radgraph")] == ["radgraph"]


def test_the_command_says_what_it_fetches_from_where_and_under_which_licence(nothing, monkeypatch, capsys) -> None:
    monkeypatch.setattr(weights, "_fetch_one", lambda entry: [nothing / entry.name])
    weights.main(["radgraph", "chexbert"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "radgraph-xl: 416 MB from StanfordAIMI/RRG_scorers, licence MIT"
    assert lines[-1] == str(nothing / "bert-base-uncased")
    with pytest.raises(SystemExit):
        weights.main(["gleu"])


def test_a_reward_without_weights_cannot_be_fetched() -> None:
    with pytest.raises(ValueError, match=r"no weights to fetch for gleu: expected some of bertscore, chexbert"):
        weights.fetch(["gleu"])
