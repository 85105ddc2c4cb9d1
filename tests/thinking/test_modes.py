"""How often a model keeps to the mode that was asked for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.thinking.modes import ModeRate, completion_tokens, copied_share, mode_rate


def predicted(*completions: str) -> list[Prediction]:
    return [Prediction(f"e{number}", text, None, "m") for number, text in enumerate(completions)]


def test_thinking_needs_one_closed_thought_and_a_response() -> None:
    found = mode_rate(
        predicted(
            "<think>Heart wide.</think> Cardiomegaly.",
            "<think>Heart wi",
            "<think>Heart wide.</think> ",
            "<think></think> Cardiomegaly.",
            "<think>One.</think> <think>Two.</think> Cardiomegaly.",
            "Cardiomegaly.</think> Cardiomegaly.",
            "Cardiomegaly.",
        ),
        thinking=True,
    )
    assert found == ModeRate(n=7, kept=1, never_closed=2, no_response=2, wrong_tags=2)
    assert found.rate == pytest.approx(1 / 7)


def test_the_direct_mode_has_no_tag_at_all() -> None:
    found = mode_rate(predicted("Clear lungs.", "<think>Clear.</think> Clear lungs.", "</think> Clear.", " "), False)
    assert found == ModeRate(n=4, kept=1, never_closed=0, no_response=1, wrong_tags=2)


def test_no_prediction_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected at least one prediction, found none"):
        mode_rate([], thinking=True)


def test_tokens_of_completions_are_counted_with_the_thought_shortest_first() -> None:
    def tokenizer(text: str) -> SimpleNamespace:
        return SimpleNamespace(input_ids=text.split())

    assert completion_tokens(predicted("<think> Wide. </think> Yes.", "Yes."), tokenizer) == [1, 4]


def test_copied_words_are_those_in_a_run_of_four_that_the_text_has_too() -> None:
    question = "Where is the nodule on this film?"
    assert copied_share("<think>Where is the nodule on this film?</think> There.", question) == 1.0
    assert copied_share("<think>I ask: where is the nodule? Look up.</think> There.", question) == 4 / 8
    assert copied_share("<think>Where is the heart?</think> There.", question) == 0.0
    assert copied_share("<think></think> There.", question) == 0.0
    assert copied_share("<think>Where is the nodule", question) == 1.0
