import dataclasses

import pytest

from radvlm_course.evaluation.baselines import get_baseline
from radvlm_course.evaluation.baselines.base import BaselineError, Completion, Generation
from radvlm_course.evaluation.baselines.predicting import complete
from radvlm_course.evaluation.baselines.qwen3_vl import Qwen3VL
from radvlm_course.evaluation.predict import complete as complete_batch
from radvlm_course.evaluation.score import score
from radvlm_course.images import ImageReadError


@pytest.fixture(scope="module")
def loaded_tiny(tiny_folder):
    return get_baseline("radvlm").load(str(tiny_folder), max_pixels=64 * 64)


def test_our_own_model_answers_as_evaluation_predict_makes_it_answer(loaded_tiny, loaded, grounding_examples):
    mine = complete(get_baseline("radvlm"), loaded_tiny, grounding_examples, 5, Generation(8))
    assert [tuple(item) for item in mine] == complete_batch(loaded, grounding_examples, 8)


def test_completions_come_in_the_order_of_the_examples_whatever_the_batch(loaded_tiny, grounding_examples):
    mixed = [
        dataclasses.replace(example, task=task)
        for example, task in zip(
            grounding_examples, ["abnormality_grounding", "phrase_grounding", "phrase_grounding"] * 4, strict=True
        )
    ]
    baseline = get_baseline("qwen3_vl")
    alone = list(complete(baseline, loaded_tiny, mixed, 1, Generation(8)))
    assert list(complete(baseline, loaded_tiny, mixed, 5, Generation(8))) == alone
    assert len(alone) == len(mixed)


def test_a_batch_holds_one_task_and_no_more_examples_than_asked(ask):
    batches = []

    class Counting(Qwen3VL):
        def answer(self, loaded, examples, generation):
            batches.append([example.task for example in examples])
            return [Completion("", "stop")] * len(examples)

    tasks = ["phrase_grounding"] * 3 + ["report_generation"] + ["phrase_grounding"]
    list(complete(Counting(), None, [ask(task, identifier=f"e{i}") for i, task in enumerate(tasks)], 2))
    first = ["phrase_grounding"]
    assert batches == [first * 2, first, ["report_generation"], first]


def test_an_example_that_cannot_be_asked_is_refused_before_anything_is_generated(ask):
    examples = [ask("report_generation"), ask("phrase_grounding", identifier="wrong")]
    with pytest.raises(BaselineError, match="example 'wrong' is phrase_grounding"):
        complete(get_baseline("llava_rad"), None, examples, 1)


def test_a_film_that_cannot_be_read_comes_after_the_batches_before_it(loaded_tiny, grounding_examples):
    broken = dataclasses.replace(grounding_examples[0], image_path="gone.png")
    completions = complete(get_baseline("radvlm"), loaded_tiny, [*grounding_examples[:2], broken], 2, Generation(4))
    assert isinstance(next(completions), Completion)
    assert isinstance(next(completions), Completion)
    with pytest.raises(ImageReadError, match=r"gone\.png"):
        next(completions)


def test_sampled_completions_repeat_with_the_seed_and_differ_between_examples(loaded_tiny, grounding_examples):
    sampled = Generation(12, temperature=1.0)
    baseline = get_baseline("radvlm")

    def texts(seed):
        return [item.text for item in complete(baseline, loaded_tiny, grounding_examples[:6], 3, sampled, seed)]

    assert texts(0) == texts(0)
    assert texts(0) != texts(1)
    assert len(set(texts(0))) > 1


def test_an_empty_batch_size_is_refused():
    with pytest.raises(ValueError, match="at least 1, found 0"):
        complete(get_baseline("radvlm"), None, [], 0)


def test_predictions_of_a_baseline_are_scored_like_those_of_any_model(loaded_tiny, grounding_examples):
    baseline = get_baseline("qwen3_vl")
    completions = complete(baseline, loaded_tiny, grounding_examples, 4, Generation(8))
    lines = [baseline.prediction(*pair) for pair in zip(grounding_examples, completions, strict=True)]
    scores = score(grounding_examples, lines, resamples=20)
    assert scores.model == "qwen3_vl (corrected)"
    assert [row["example_id"] for row in scores.rows] == [example.id for example in grounding_examples]
