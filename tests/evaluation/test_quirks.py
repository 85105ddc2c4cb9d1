"""The table of quirks: its values are the check values, and each row shows a difference or says why there is none."""

import pytest

from radvlm_course.evaluation.quirks import quirk_table, quirks

FOUND = {(item.metric, item.example): item for item in quirks()}


@pytest.mark.parametrize(
    ("metric", "example", "paper", "corrected"),
    [
        ("mAP@0.5", "wrong box, then the right one", 0.5, 0.5),
        ("mAP@0.5", "right box, then a wrong one", 1.0, 0.5),
        ("mAP@0.5", "right box, then ten wrong ones", 1.0, 1 / 11),
        ("mAP@0.5", "one of two found", 0.5, 0.5),
        ("mAP@0.5", "one box each; of two films one hits", 0.5, 0.25),
        ("mAP@0.5", "a hit, and a healthy film called healthy", 0.5, 1.0),
        ("mean IoU", "two perfect boxes on two disjoint truths", 0.5, 1.0),
        ("mean IoU", "a perfect box, and a film without an answer", 1.0, 0.5),
        ("CheXbert F1 macro", "edema found where edema is, nothing else", 1 / 14, 1.0),
        ("RadCliQ (lower is better)", "'Ok.' for 'Ok.': a pair of 5 characters or less", 3.0, -1.4407),
        ("RadCliQ (lower is better)", "a perfect pair in the files of results", 1.4407, -1.4407),
        ("classification F1", "Pleural effusion. No pneumothorax, no edema.", 0.5, 1.0),
    ],
    ids=range(12),
)
def test_values(metric: str, example: str, paper: float, corrected: float) -> None:
    found = FOUND[metric, example]
    assert (found.paper, found.corrected) == (pytest.approx(paper, abs=1e-4), pytest.approx(corrected, abs=1e-4))


def test_every_quirk_is_explained_and_no_example_is_there_twice() -> None:
    assert len(FOUND) == len(quirks())
    assert all(item.why for item in quirks())


def test_the_table_has_a_line_for_each_and_says_where_the_paper_would_stop() -> None:
    lines = quirk_table().splitlines()
    assert len(lines) == len(FOUND) + 2
    assert all(line.count(" | ") == 4 for line in lines)
    assert "| stops | 1.000 |" in quirk_table()
