"""The results page: what it says of run and of missing experiments, its pictures, and the page in the docs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.experiments.page import (
    all_stored,
    finished_in,
    page_block,
    picture_digest,
    picture_names,
    results_digest,
    total_seconds,
    write_page,
)
from radvlm_course.experiments.results import Results

Make = Callable[..., Results]
DOCS = Path(__file__).parents[2] / "docs"


def test_an_experiment_is_told_with_verdicts_picture_command_and_seconds(made_results: Make) -> None:
    block = page_block({"cross_task": made_results("cross_task")})
    assert (
        "![What does RL on one task do to the other?](pictures/experiment_cross_task_trained_and_measured.png)" in block
    )
    assert "| **reproduced** |" in block and "| **not testable at this size** |" in block
    assert "ROUGE-L 26.0 → 29.9" in block
    assert "python -m radvlm_course experiments cross_task" in block
    # 3 arms of 100 s, 3 seeds; two at a time: 450 s
    assert "| 2 | 0 | 2 | 9 | 40 | 0, 1, 2 | 900 | 8 |" in block


def test_experiments_without_results_are_told_with_their_command(made_results: Make) -> None:
    block = page_block({"cross_task": made_results("cross_task")})
    for name in EXPERIMENTS:
        assert (f"Not run yet: `python -m radvlm_course experiments {name} --store`" in block) == (name != "cross_task")


def test_a_training_that_two_experiments_share_counts_once(made_results: Make) -> None:
    both = {name: made_results(name) for name in ("matched_rl", "thinking")}
    assert total_seconds({"thinking": both["thinking"]}) == 4 * 3 * 100
    assert total_seconds({"matched_rl": both["matched_rl"]}) == 8 * 3 * 100
    assert total_seconds(both) == 8 * 3 * 100


def test_the_page_keeps_what_stands_around_the_markers(tmp_path: Path, made_results: Make) -> None:
    page = tmp_path / "experiments.md"
    page.write_text("# Mine\n\n<!-- experiments: begin -->\nof last year\n<!-- experiments: end -->\n\nthe end\n")
    results = {"cross_task": made_results("cross_task")}
    pictures = write_page(page, results)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Mine\n") and text.endswith("\n\nthe end\n") and "of last year" not in text
    assert page_block(results) in text
    assert [path.name for path in pictures] == picture_names(results["cross_task"])
    assert {picture_digest(path) for path in pictures} == {results_digest(results["cross_task"])}


def test_a_page_is_made_where_none_is_and_one_without_markers_is_refused(tmp_path: Path) -> None:
    write_page(tmp_path / "new.md", {})
    assert "Not run yet" in (tmp_path / "new.md").read_text(encoding="utf-8")
    (tmp_path / "old.md").write_text("# Mine\n")
    with pytest.raises(ValueError, match=r"old\.md: expected the markers"):
        write_page(tmp_path / "old.md", {})


def test_the_digest_of_a_picture_tells_old_results(tmp_path: Path, made_results: Make) -> None:
    (picture, *_) = write_page(tmp_path / "page.md", {"thinking": made_results("thinking")})
    assert picture_digest(picture) != results_digest(made_results("thinking", usual=(0.06, 0.01)))


def test_the_results_of_a_run_are_found(tmp_path: Path, made_results: Make) -> None:
    folder = tmp_path / "experiments" / "thinking"
    folder.mkdir(parents=True)
    made_results("thinking").write(folder / "results.json")
    assert finished_in(tmp_path) == {"thinking": made_results("thinking")}


def test_the_page_in_the_docs_is_what_the_stored_results_give() -> None:
    assert page_block(all_stored()) in (DOCS / "experiments.md").read_text(encoding="utf-8")


def test_the_pictures_in_the_docs_are_of_the_stored_results() -> None:
    """Made again by ``python -m radvlm_course experiments --page``."""
    stored = all_stored()
    assert "thinking" in stored
    named = {name: results for results in stored.values() for name in picture_names(results)}
    assert {path.name for path in (DOCS / "pictures").glob("experiment_*.png")} == set(named)
    for name, results in named.items():
        assert picture_digest(DOCS / "pictures" / name) == results_digest(results), name
