"""The wordings: as many as the paper has, each with the fields of its task."""

from pathlib import Path

import pytest
import yaml

from radvlm_course.instructions import TemplateError, load_templates
from radvlm_course.instructions import templates as templates_module

PAPER_COUNTS = {
    ("report_generation", "questions"): 15,
    ("abnormality_classification", "questions"): 11,
    ("abnormality_classification", "several"): 5,
    ("abnormality_classification", "one"): 5,
    ("abnormality_classification", "none"): 7,
    ("grounding", "questions"): 20,
    ("grounding", "answers"): 20,
    ("phrase_grounding", "questions"): 8,
    ("phrase_grounding", "answers"): 8,
    ("abnormality_detection", "questions"): 10,
    ("abnormality_detection", "answers"): 10,
    ("abnormality_detection", "none"): 10,
}


def test_the_full_set_has_as_many_different_wordings_as_the_paper() -> None:
    groups = load_templates("full").groups
    assert {group: len(set(groups[group])) for group in PAPER_COUNTS} == PAPER_COUNTS


def test_the_compact_set_has_one_or_two_wordings_and_bare_boxes() -> None:
    templates = load_templates("compact")
    assert all(1 <= len(wordings) <= 2 for wordings in templates.groups.values())
    assert templates.wordings("grounding", "answers") == ("{boxes}",)
    assert templates.wordings("grounding", "questions") == ("Where is the {name}?",)
    assert templates.wordings("report_generation", "questions") == ("Write a report.",)


def test_the_ways_to_word_a_pair_are_counted() -> None:
    full = load_templates("full")
    assert full.combinations("anatomical_grounding") == full.combinations("abnormality_grounding") == 20 * 20
    assert full.combinations("phrase_grounding") == 8 * 8
    assert full.combinations("report_generation") == 15
    assert full.combinations("abnormality_classification") == 11 * 5  # the fewest: films with one label
    assert full.combinations("abnormality_detection") == 10 * 10
    assert full.combinations("conversation") == 1


def test_the_digest_tells_two_sets_apart() -> None:
    assert load_templates("full").digest != load_templates("compact").digest


def test_an_unknown_set_lists_the_known_ones() -> None:
    with pytest.raises(TemplateError, match="found full, compact"):
        load_templates("short")
    with pytest.raises(TemplateError, match="expected a YAML file"):
        load_templates("/nowhere/own.yaml:full")


@pytest.mark.parametrize(
    ("wordings", "message"),
    [
        (["Where is it?"], r"expected name in 'Where is it\?', found \[\]"),
        (["Where is the {nmae}?"], r"found \['nmae'\]"),
        ([], "at least one wording in grounding.questions"),
        (None, "at least one wording in grounding.questions"),
    ],
)
def test_a_wording_without_its_fields_is_refused(tmp_path: Path, wordings: object, message: str) -> None:
    content = yaml.safe_load(Path(templates_module.__file__).with_name("templates.yaml").read_text())
    content["compact"]["grounding"]["questions"] = wordings
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load_templates(f"{path}:full").groups == load_templates("full").groups
    with pytest.raises(TemplateError, match=message):
        load_templates(f"{path}:compact")
