"""The registry, and what every baseline keeps whatever a model writes."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import scan_boxes
from radvlm_course.evaluation.baselines import BASELINES, baseline_class, get_baseline
from radvlm_course.evaluation.baselines.base import VARIANTS
from radvlm_course.records import BOX_TASKS
from radvlm_course.rewards.soft_f1 import claims_nothing

BROKEN = {
    "blank": " \n",
    "another language": "Es findet sich kein Pleuraerguss. 左侧胸腔积液。",
    "an opened bracket": "[",
    "an opened JSON list": '```json\n[{"bbox_2d": [12, 30, 4',
    "an opened tag of MAIRA-2": "<obj>Nodule <box><x10><y2",
    "an opened tag of CheXagent": "<|ref|>nodule<|/ref|> <|box|> (17,40), (3",
    "a thought without an end": "<think>The region [10, 20, 30, 40] is dense",
    "a thought of Gemma without an end": "<unused94>thought\nThe heart",
    "an opened answer": r"<think>x</think> \boxed{No pneumo",
    "numbers of 5,000 digits": f"[{'9' * 5000}, 1, 2, 3] <box><x{'9' * 5000}></box> ({'9' * 5000},1),(2,3)",
    "not numbers": "[nan, inf, -inf, 1e999]",
    "nested": "[[[1, 2, 3, 4]], {}]",
    "a lone surrogate": "\ud800 [1, 2, 3, 4]",
}
PIECES = [
    *BROKEN.values(),
    "<box><x10><y20><x30><y40></box>",
    "<obj>",
    "</obj>",
    "<|box|> (17,40), (37,54) <|/box|>",
    "(17,40),(37,54)",
    "[0.1, 0.2, 0.3, 0.4]",
    "[100, 200, 300, 400]",
    "[]",
    "</think>",
    r"\boxed{",
    "}",
    "Edema, ",
    "none",
]


EACH_TASK = [(name, variant, task) for name in BASELINES for variant in VARIANTS for task in baseline_class(name).tasks]


def test_describing_every_baseline_imports_no_torch_and_no_transformers():
    code = (
        "import sys; from radvlm_course.evaluation.baselines.tables import PARTS; "
        "[write() for write in PARTS.values()]; "
        "print(sorted({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_name_and_the_card_of_its_class_agree():
    assert {name: baseline_class(name).card.name for name in BASELINES} == {name: name for name in BASELINES}


def test_every_card_says_its_terms_and_who_to_cite():
    for name in BASELINES:
        card = baseline_class(name).card
        assert all((card.title, card.licence, card.access, card.citation, card.billions)), name
        assert set(card.paper_tasks) <= set(baseline_class(name).tasks), name


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown baseline 'maira'.*maira_2"):
        get_baseline("maira")


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"MAIRA-2: expected variant paper or corrected, found 'mine'"):
        get_baseline("maira_2", variant="mine")


@pytest.mark.parametrize(("name", "variant", "task"), EACH_TASK)
def test_whatever_a_model_writes_becomes_text_that_can_be_saved_and_scored(name, variant, task, ask):
    example = ask(task)
    baseline = get_baseline(name, variant=variant)
    for text in BROKEN.values():
        response = baseline.parse(text, example)
        assert response is None or isinstance(response, str)
        if not text.strip():
            assert not (response or "").strip(), "silence must stay silence"
        scan_boxes(response or "")


@pytest.mark.parametrize("name", [name for name in BASELINES if set(BOX_TASKS) & set(baseline_class(name).tasks)])
def test_a_box_that_was_begun_never_counts_as_saying_that_there_is_nothing(name, ask):
    begun = {"maira_2": "<obj>Nodule <box><x10><y2", "chexagent_2": "<|ref|>nodule<|/ref|> <|box|> (17,40), (3"}
    text = begun.get(name, '[{"bbox_2d": [12, 30, 4')
    text = f"<think>so</think> {text}" if baseline_class(name).thinking else text
    assert not claims_nothing(get_baseline(name).parse(text, ask("phrase_grounding")))


@settings(max_examples=60)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map("".join))
def test_any_mixture_of_formats_is_read_without_an_error(ask, text):
    for name in BASELINES:
        found = baseline_class(name)
        for variant in VARIANTS:
            for task in found.tasks:
                response = found(variant).parse(text, ask(task))
                assert response is None or isinstance(response, str)
