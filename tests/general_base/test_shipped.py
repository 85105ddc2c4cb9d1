"""The model that comes with the package: checked against its record, loaded, and refused when a byte is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radvlm_course.general_base import shipped
from radvlm_course.general_base.shipped import MADE, check_made, digests, shipped_base, store


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with two files and their record."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / MADE).write_text(json.dumps({"command": "a command", "sha256": digests(folder)}))
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the package would keep its model."""
    folder = tmp_path / "package" / "model"
    folder.parent.mkdir()
    monkeypatch.setattr(shipped, "_folder", lambda: folder)
    return folder


def test_digests_are_sha256_of_every_file_but_the_record(made: Path) -> None:
    assert set(digests(made)) == {"config.json", "model.safetensors"}
    # sha256 of "{}", as sha256sum prints it
    assert digests(made)["config.json"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_changed_file_is_refused_by_name(made: Path) -> None:
    assert check_made(made)["command"] == "a command"
    (made / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(ValueError, match=r"model\.safetensors not as recorded in made\.json.*general-base --store"):
        check_made(made)


def test_an_added_file_is_refused_and_a_lacking_one_named(made: Path) -> None:
    (made / "extra.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"extra\.bin not as recorded"):
        check_made(made)
    (made / "extra.bin").unlink()
    (made / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json missing"):
        check_made(made)


def test_without_a_record_the_command_is_told(tmp_path: Path, package: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"found no made\.json: make it with python -m radvlm_course general-base"
    ):
        shipped_base()


def test_storing_replaces_what_was_there_whole(made: Path, package: Path) -> None:
    package.mkdir()
    (package / "old.bin").write_bytes(b"old")
    assert store(made) == package
    assert sorted(path.name for path in package.iterdir()) == ["config.json", "made.json", "model.safetensors"]
    assert shipped_base() == package


def test_a_spoilt_model_is_not_stored(made: Path, package: Path) -> None:
    (made / "config.json").write_text("{ }")
    with pytest.raises(ValueError, match="not as recorded"):
        store(made)
    assert not package.exists()


def test_the_model_of_the_package_is_small_whole_and_better_than_its_prior() -> None:
    """The one that the experiments start from, as it lies in the repository."""
    folder = shipped_base()
    made = check_made(folder)
    assert made["command"].startswith("python -m radvlm_course general-base --seed ")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8 * 2**20
    found = made["held_out"]
    assert found["direct"]["soft_f1"]["low"] > found["prior_mean_box"]["soft_f1"]["high"]
    assert found["direct"]["kept_to_the_mode"] > 0.95 and found["thinking"]["kept_to_the_mode"] > 0.95


def test_it_answers_about_a_film_in_both_modes(tmp_path: Path) -> None:
    from PIL import Image

    from radvlm_course.chat import split_thought
    from radvlm_course.evaluation.predict import complete
    from radvlm_course.models.loading import load_model
    from radvlm_course.phantoms import make_phantom
    from radvlm_course.records import Example

    Image.fromarray(make_phantom(seed=3, size=120).image).save(tmp_path / "film.png")
    asked = Example("e", "abnormality_grounding", str(tmp_path / "film.png"), "Where is the nodule?", "", ())
    loaded = load_model(shipped_base())
    direct = complete(loaded, [asked], max_new_tokens=96)[0][0]
    thinks = complete(loaded, [asked], max_new_tokens=180, thinking=True)[0][0]
    assert split_thought(direct).response and "<think>" not in direct
    assert thinks.startswith("<think>")
