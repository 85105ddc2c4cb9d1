"""The rules as data: loaded whole, and a broken file is refused with the rule's name."""

from pathlib import Path

import pytest
import yaml

from radvlm_course.evaluation.observation_rules import RULES_FILE, RuleError, load_rules
from radvlm_course.evaluation.observations import label_report


def changed(tmp_path: Path, change) -> Path:  # type: ignore[no-untyped-def]
    values = yaml.safe_load(RULES_FILE.read_text(encoding="utf-8"))
    change(values)
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_the_rules_of_the_course_are_whole() -> None:
    rules = load_rules()
    assert len(rules.mentions) == 13
    assert len({cue.name for cue in rules.cues}) == len(rules.cues)


def test_a_reader_can_change_a_rule(tmp_path: Path) -> None:
    text = "Blunted costophrenic angle."
    path = changed(
        tmp_path, lambda v: v["mentions"]["Pleural Effusion"]["patterns"].append("blunted costophrenic angles?")
    )
    assert "Pleural Effusion" not in label_report(text)
    assert label_report(text, load_rules(path))["Pleural Effusion"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["cues"][0].update(pattern="("), "is not a regular expression"),
        (lambda v: v["cues"][0].update(kind="denial"), "expected kind of"),
        (lambda v: v["cues"][0].update(where="above"), "where of"),
        (lambda v: v["cues"][0].update(reech=3), "unknown key reech"),
        (lambda v: v["cues"][0].pop("pattern"), "missing or wrong key 'pattern'"),
        (lambda v: v["mentions"].pop("Edema"), "mentions: expected"),
        (lambda v: v["structures"]["predicates"][0].update(says="fine"), "expected says"),
        (lambda v: v["structures"]["subjects"][0].update(normal=["Heart"]), "'Heart' is not one of"),
        (lambda v: v.pop("list_gap"), "missing or wrong key 'list_gap'"),
    ],
    ids=range(9),
)
def test_a_broken_rule_is_named(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RuleError, match=message):
        load_rules(changed(tmp_path, change))
