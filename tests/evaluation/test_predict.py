import json

import pytest

from radvlm_course.evaluation.predict import complete, predict
from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.images import ImageReadError
from radvlm_course.records import Example


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_example_gets_one_line_with_its_settings(loaded, grounding_examples, tmp_path):
    path = tmp_path / "answers.jsonl"
    predict(loaded, grounding_examples, path, "tiny", batch_size=5, max_new_tokens=8, progress=False)
    predictions = list(read_predictions(path))
    assert {p.example_id for p in predictions} == {e.id for e in grounding_examples}
    assert {p.model for p in predictions} == {"tiny"}
    assert predictions[0].generation == {"temperature": 0.0, "max_new_tokens": 8, "thinking": False}
    assert {p.finish_reason for p in predictions} <= {"stop", "length"}


@pytest.mark.parametrize("kept_bytes", [0, 1, 150, 400, 900])
def test_a_run_killed_at_any_byte_resumes_without_loss_or_repetition(loaded, grounding_examples, tmp_path, kept_bytes):
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    predict(loaded, grounding_examples, whole, "tiny", 4, 8, progress=False)
    cut.write_bytes(whole.read_bytes()[:kept_bytes])
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the torn line is reported, as test_predictions shows
        predict(loaded, grounding_examples, cut, "tiny", 4, 8, progress=False)
    by_id = {line["example_id"]: line for line in lines(cut)}
    assert len(lines(cut)) == len(by_id)
    assert by_id == {line["example_id"]: line for line in lines(whole)}


def test_finished_predictions_are_not_made_again(loaded, grounding_examples, tmp_path):
    path = tmp_path / "answers.jsonl"
    predict(loaded, grounding_examples, path, "tiny", 4, 8, progress=False)
    before = path.read_bytes()
    predict(None, grounding_examples, path, "tiny", 4, 8, progress=False)
    assert path.read_bytes() == before


def test_a_film_that_cannot_be_read_ends_with_its_path_and_keeps_the_lines_before(loaded, grounding_examples, tmp_path):
    path = tmp_path / "answers.jsonl"
    broken = Example("broken", "abnormality_grounding", str(tmp_path / "gone.png"), "Where?", "", boxes=())
    with pytest.raises(ImageReadError, match=r"gone\.png"):
        predict(loaded, [*grounding_examples[:4], broken], path, "tiny", 4, 8, progress=False)
    assert len(lines(path)) == 4


def test_greedy_answers_do_not_depend_on_the_batch(loaded, grounding_examples):
    alone = [complete(loaded, [example], 8)[0] for example in grounding_examples[:3]]
    assert complete(loaded, grounding_examples[:3], 8) == alone


def test_sampling_leaves_the_model_in_the_mode_it_was_in(loaded, grounding_examples):
    loaded.model.train()
    complete(loaded, grounding_examples[:2], 4, temperature=1.0)
    assert loaded.model.training


def test_a_model_with_several_end_tokens_stops_at_any_of_them(loaded, grounding_examples, monkeypatch):
    written, generate = [], loaded.model.generate
    monkeypatch.setattr(loaded.model, "generate", lambda **options: written.append(generate(**options)) or written[-1])
    assert complete(loaded, grounding_examples[:1], 8)[0][1] == "length"
    fifth_last = int(written[0][0, -5])
    ends = [loaded.processor.tokenizer.eos_token_id, fifth_last]
    monkeypatch.setattr(loaded.model.generation_config, "eos_token_id", ends)
    assert complete(loaded, grounding_examples[:1], 8)[0][1] == "stop"
    assert int(written[1][0, -1]) == fifth_last
    assert written[1].shape[1] < written[0].shape[1]


def test_sampling_settings_of_the_models_own_do_not_change_greedy_answers(loaded, grounding_examples, monkeypatch):
    expected = complete(loaded, grounding_examples[:2], 8)
    monkeypatch.setattr(loaded.model.generation_config, "repetition_penalty", 5.0)
    assert complete(loaded, grounding_examples[:2], 8) == expected
