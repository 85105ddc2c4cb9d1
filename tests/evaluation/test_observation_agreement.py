"""Agreement of two labellings: hand-computed numbers, scikit-learn's kappa, the command, and CheXbert's path."""

import math
from pathlib import Path

import numpy as np
import pytest

from radvlm_course.evaluation.observation_agreement import (
    agreement,
    agreement_table,
    chexbert_labels,
    main,
    read_labelled_reports,
)
from radvlm_course.evaluation.observations import OBSERVATIONS
from radvlm_course.records import Example, write_jsonl


def test_numbers_by_hand() -> None:
    ours = [{"Edema": 1}, {"Edema": 0}, {}, {"Edema": -1}]
    theirs = [{"Edema": 1}, {"Edema": 1}, {}, {"Edema": 1}]
    edema = next(item for item in agreement(ours, theirs) if item.observation == "Edema")
    assert (edema.n, edema.mentioned, edema.same) == (4, 3, 0.5)
    by_chance = (1 * 3 + 1 * 1) / 16  # both present, both silent
    assert edema.kappa == pytest.approx((0.5 - by_chance) / (1 - by_chance))
    assert edema.f1 == pytest.approx(2 * 2 / (2 + 3))
    fracture = next(item for item in agreement(ours, theirs) if item.observation == "Fracture")
    assert math.isnan(fracture.kappa) and math.isnan(fracture.f1)
    assert "| Fracture | 4 | 0 | 1.000 | n/a | n/a |" in agreement_table(agreement(ours, theirs))
    pooled = agreement(ours, theirs)[-1]
    assert (pooled.observation, pooled.n, pooled.mentioned) == ("all observations", 56, 3)


def test_kappa_is_scikit_learns() -> None:
    metric = pytest.importorskip("sklearn.metrics")
    values = np.random.default_rng(0).integers(-1, 3, (2, 60))
    first, second = ([{"Edema": int(v)} if v < 2 else {} for v in row] for row in values)
    edema = next(item for item in agreement(first, second) if item.observation == "Edema")
    assert edema.kappa == pytest.approx(metric.cohen_kappa_score(*values))


def test_different_numbers_of_reports_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1 and 2"):
        agreement([{}], [{}, {}])


def table(tmp_path: Path, *cells: str) -> Path:
    path = tmp_path / "labelled.csv"
    lines = ["Reports," + ",".join(OBSERVATIONS), *cells]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_of_labels_is_read(tmp_path: Path) -> None:
    empty = "," * 12
    reports, labels = read_labelled_reports(table(tmp_path, f'"No mass,\nnone",1.0,{empty}', f"Clear,-1.0,{empty}"))
    assert reports == ["No mass,\nnone", "Clear"]
    assert labels == [{OBSERVATIONS[0]: 1}, {OBSERVATIONS[0]: -1}]
    with pytest.raises(ValueError, match=r"line 2: .* is 2.0, expected 1, 0 or -1"):
        read_labelled_reports(table(tmp_path, f"Clear,2.0,{empty}"))
    with pytest.raises(ValueError, match="line 2: expected 1, 0, -1 or nothing"):
        read_labelled_reports(table(tmp_path, f"Clear,yes,{empty}"))
    (tmp_path / "other.csv").write_text("Text,Edema\n")
    with pytest.raises(ValueError, match="'Reports' is not there"):
        read_labelled_reports(tmp_path / "other.csv")


def test_the_command_prints_agreement_and_explains_differences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path, "No effusion.," + ",".join("1.0" if n == "Pleural Effusion" else "" for n in OBSERVATIONS))
    assert main(["--labelled", str(path), "--show", "1"]) == 0
    printed = capsys.readouterr().out
    assert "| Pleural Effusion | 1 | 1 | 0.000 |" in printed
    assert "0: 'effusion', cue 'no', rule 'no'" in printed
    assert main(["--labelled", str(tmp_path / "none.csv")]) == 1
    with pytest.raises(SystemExit):
        main(["--examples", "x.jsonl"])


def test_chexbert_is_compared_where_its_weights_are(
    metric_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = ["Mild cardiomegaly with effusion.", "No pneumothorax. The lungs are clear."]
    labels = chexbert_labels(reports)
    assert all(set(found) <= set(OBSERVATIONS) and set(found.values()) <= {1, 0, -1} for found in labels)
    examples = [Example(f"e{i}", "report_generation", "a.png", "q", text) for i, text in enumerate(reports)]
    write_jsonl(examples, tmp_path / "e.jsonl")
    assert main(["--examples", str(tmp_path / "e.jsonl"), "--chexbert"]) == 0
    assert "| all observations | 28 |" in capsys.readouterr().out
