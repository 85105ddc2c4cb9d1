"""No finding can be pointed at without looking, and the population is as documented."""

import pytest

from radvlm_course.boxes import Box
from radvlm_course.phantoms import FINDINGS, Phantom
from radvlm_course.phantoms.__main__ import format_population, main
from radvlm_course.phantoms.statistics import measure_population, prior_accuracy


def test_prior_accuracy_by_hand() -> None:
    boxes = [Box(0.0, 0.0, 0.4, 0.4), Box(0.0, 0.0, 0.4, 0.4), Box(0.6, 0.6, 1.0, 1.0)]
    assert prior_accuracy(boxes[:2], boxes) == pytest.approx(2 / 3)
    assert prior_accuracy(boxes, boxes) == 0.0  # the mean lies between them


def test_fixed_boxes_score_little_for_every_finding(phantoms: list[Phantom]) -> None:
    population = measure_population(phantoms)
    assert [row.finding for row in population.findings] == list(FINDINGS)
    for row in population.findings:
        # A heart cannot lie just anywhere: cardiomegaly keeps the largest prior, far below what a model reaches.
        limit = 0.45 if row.finding == "cardiomegaly" else 0.30
        assert row.mean_box <= limit and row.side_box <= limit, row


def test_findings_and_normal_films_are_as_frequent_as_documented(phantoms: list[Phantom]) -> None:
    population = measure_population(phantoms)
    assert 0.15 <= population.normal <= 0.26
    assert 0.0 < population.uncertain < 0.06
    for row in population.findings:
        assert 0.14 <= row.share <= 0.45 and 1.0 <= row.boxes <= 1.7, row


def test_an_empty_population_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        measure_population([])


def test_the_table_has_a_row_a_finding(phantoms: list[Phantom]) -> None:
    text = format_population(measure_population(phantoms[:60]))
    assert all(f"| {finding} |" in text for finding in FINDINGS)


def test_the_command_writes_and_reports_errors(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path_factory.mktemp("corpus"))
    arguments = ["write", root, "--train", "1", "--validation", "0", "--test", "1", "--size", "32"]
    assert main(arguments) == 0
    assert main([*arguments[:-1], "48"]) == 1
    assert "size" in capsys.readouterr().err
    assert main(["statistics", "--phantoms", "20"]) == 0
    assert "cardiomegaly" in capsys.readouterr().out
