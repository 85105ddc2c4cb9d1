"""The exercises of notebook 06: right answers pass, typical wrong ones get the hint that helps."""

from radvlm_course.exercises import check
from radvlm_course.exercises.nb_06 import paired_difference, rankings, resample, two_readings


def test_two_readings_of_twelve_hits():
    assert two_readings((0.6, 0.36)) is None
    assert "wrong order" in two_readings((0.36, 0.6))
    assert "precision times recall" in two_readings((0.6, 0.6))
    assert "Multiply" in two_readings((0.6, 0.5))
    assert "own AP" in two_readings((0.5, 0.36))
    assert "two numbers" in two_readings(0.6)


def by_id(rows):
    return {row["example_id"]: row["soft_f1"] for row in rows}


def right(before, after):
    first, second = by_id(before), by_id(after)
    if set(first) != set(second):
        raise ValueError("not the same examples")
    return sum(second[name] - first[name] for name in first) / len(first)


def test_a_paired_difference_pairs_by_id_and_refuses_other_examples():
    assert paired_difference(right) is None
    assert "turned round" in paired_difference(lambda before, after: -right(before, after))
    assert "the sum" in paired_difference(lambda before, after: 3 * right(before, after))
    assert "by example_id" in paired_difference(lambda before, after: after[0]["soft_f1"] - before[0]["soft_f1"])
    assert "KeyError" in paired_difference(lambda before, after: by_id(after)["z"])
    assert "does not mind" in paired_difference(
        lambda before, after: sum(by_id(after)[k] - by_id(before)[k] for k in by_id(after)) / len(after)
    )
    assert "raised KeyError" in paired_difference(
        lambda before, after: sum(by_id(after)[k] - by_id(before)[k] for k in by_id(before)) / len(before)
    )
    assert "Expected a function" in paired_difference(0.2)


def draw(patients, rng):
    names = sorted(set(patients))
    return [i for name in rng.choices(names, k=len(names)) for i, p in enumerate(patients) if p == name]


def test_a_resample_draws_whole_patients_with_replacement():
    assert resample(draw) is None
    assert "torn apart" in resample(lambda patients, rng: rng.choices(range(len(patients)), k=len(patients)))
    assert "with replacement" in resample(lambda patients, rng: list(range(len(patients))))
    assert "draws of patients" in resample(lambda patients, rng: [3])
    assert "indices" in resample(lambda patients, rng: [99])
    assert "use the rng" in resample(lambda patients, rng: [3, 3, 3, 3])
    assert "failed: TypeError" in resample(lambda patients: [])
    assert "Expected a function" in resample([1, 2])


def test_a_patient_with_many_films_is_not_drawn_more_often():
    def by_film(patients, rng):
        drawn = rng.choices(patients, k=len(set(patients)))
        return [i for name in drawn for i, p in enumerate(patients) if p == name]

    assert "distinct patients" in resample(by_film)


def test_without_a_ranking_ap_lies_between_precision_times_recall_and_recall():
    def reach(right, written, true):
        return (right / written * right / true if written else 0.0), right / true

    assert rankings(reach) is None
    assert "wrong order" in rankings(lambda *counts: reach(*counts)[::-1])
    assert "divides by zero" in rankings(lambda right, written, true: (right / written * right / true, right / true))
    assert "is not 0" in rankings(lambda right, written, true: (0, right / true))
    assert "the curve end" in rankings(lambda *counts: (reach(*counts)[0], 1.0))
    assert "rises with every" in rankings(lambda right, written, true: (right / max(written, 1), right / true))
    assert "two numbers" in rankings(lambda right, written, true: 0.5)
    assert "Expected a function" in rankings((0.3, 0.6))


def test_the_range_of_rankings_is_that_of_cocos_tool():
    from radvlm_course.boxes import Box
    from radvlm_course.evaluation.coco import coco_average_precision

    box, wrong = Box(0.1, 0.1, 0.4, 0.4), Box(0.5, 0.5, 0.9, 0.9)
    written = [[box]] * 6 + [[wrong]] * 6
    films = [[box]] * 10 + [[]] * 2
    ends = [coco_average_precision(written, films, ["a"] * 12, name)["map50"] for name in ("worst", "best")]
    assert abs(ends[0] - 0.3) < 0.01 and abs(ends[1] - 0.6) < 0.01


def test_an_open_exercise_is_no_error(capsys):
    check("06.3", None)
    assert "no answer yet" in capsys.readouterr().out
