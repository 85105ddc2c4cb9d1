"""The same bytes from any number of processes; failures in one of them; nothing left behind."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radvlm_course.instructions import BuildWarning, LeakError, MixtureError, build_mixture
from radvlm_course.instructions._processes import Workers
from radvlm_course.records import Study, write_jsonl
from radvlm_course.sources import Source, SourceError


@pytest.fixture
def on_disk(world: Any, tmp_path: Path) -> dict[str, Source]:
    """The world's datasets in the layout of the phantom corpus, whose reader other processes can import."""
    sources = {}
    for name, films in world.films.items():
        root = tmp_path / name
        studies = [study for found in films.values() for study in found]
        for study in studies:
            path = root / "images" / Path(study.image_path).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        moved = [vars(study) | {"image_path": f"images/{Path(study.image_path).name}"} for study in studies]
        write_jsonl((Study(**values) for values in moved), root / "studies.jsonl")
        (root / "corpus.json").write_text('{"complete": true}')
        sources[name] = Source("phantom", root, check_images=False)
    return sources


def build(sources: dict[str, Any], settings: dict[str, Any], folder: Path, workers: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BuildWarning)
        return build_mixture(settings, sources, folder, 3, progress=False, workers=workers)


def test_one_two_and_three_processes_write_the_same_bytes(
    on_disk: dict[str, Source], world_settings: dict[str, Any], tmp_path: Path
) -> None:
    every_format = world_settings | {"parquet": True, "llava": True, "verl": True, "verl_thinking": True}
    cards = [build(on_disk, every_format, tmp_path / f"out{workers}", workers) for workers in (1, 2, 3)]
    assert cards[0] == cards[1] == cards[2]
    assert len(cards[0].sha256) == 2 * (3 + 4 + 4) and cards[0].read["mimic_cxr train"]["read"] == 75
    for name in (*cards[0].sha256, "card.json", "README.md"):
        contents = {(tmp_path / f"out{workers}" / name).read_bytes() for workers in (1, 2, 3)}
        assert len(contents) == 1, name


def test_an_error_in_another_process_is_raised_here_and_leaves_nothing(
    on_disk: dict[str, Source], world_settings: dict[str, Any], tmp_path: Path
) -> None:
    (Path(on_disk["vindr_cxr"].root) / "studies.jsonl").write_text("damaged\n")
    with pytest.raises(SourceError, match="expected a table of studies, found a damaged one"):
        build(on_disk, world_settings, tmp_path / "out", 2)
    assert list((tmp_path / "out").iterdir()) == []


def test_studies_that_cannot_be_sent_to_another_process_are_refused(
    world: Any, world_settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(MixtureError, match="expected studies that can be sent to another process"):
        build(world.sources(), world_settings, tmp_path / "out", 2)


def test_no_process_at_all_is_refused(world: Any, world_settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MixtureError, match="workers: expected at least 1, found 0"):
        build(world.sources(), world_settings, tmp_path / "out", 0)


def test_the_bar_counts_what_the_jobs_tell(capsys: pytest.CaptureFixture[str]) -> None:
    def job(number: int, tick: Any) -> int:
        tick(number)
        return number * 2

    with Workers(1, progress=True) as workers:
        assert list(workers.run(job, [3, 4], "things", " units", 7)) == [(0, 6), (1, 8)]
    assert "things: 100%" in capsys.readouterr().err


def test_a_build_stops_at_a_study_of_another_split(world: Any, world_settings: dict[str, Any], tmp_path: Path) -> None:
    def wrong(split: str) -> Iterator[Study]:
        return iter(world.films["vindr_cxr"]["test"])

    with pytest.raises(LeakError, match="expected studies of train, found vindr_cxr-0020 of test among them"):
        build(world.sources() | {"vindr_cxr": wrong}, world_settings, tmp_path / "out", 1)
