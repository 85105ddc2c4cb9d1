"""The exercises of notebook 01: right answers pass, typical wrong ones get the hint that helps."""

from radvlm_course.boxes import Box
from radvlm_course.exercises import check
from radvlm_course.exercises.nb_01 import leaking_patients, mixture_sizes, nih_box


def test_a_row_of_corner_and_size_becomes_a_box():
    assert nih_box(Box(0.25, 0.1875, 0.75, 0.5625)) is None
    assert "width and a height" in nih_box(Box(256 / 1024, 192 / 1024, 512 / 1024, 384 / 1024))
    assert "thousandths" in nih_box(Box(0.256, 0.192, 0.768, 0.576))
    assert "x + width" in nih_box(Box(0.1, 0.1, 0.2, 0.2))
    assert "tuple" in nih_box((0.25, 0.1875, 0.75, 0.5625))


def people(studies):
    return {(study.source, study.patient_id) for study in studies}


def test_a_leak_is_the_same_patient_of_the_same_dataset():
    assert leaking_patients(lambda train, test: people(train) & people(test)) is None
    assert "two people" in leaking_patients(
        lambda train, test: {("a", s.patient_id) for s in train} & {("a", s.patient_id) for s in test}
    )
    assert "different patients" in leaking_patients(lambda train, test: people(train) | people(test))
    assert "stands in both" in leaking_patients(lambda train, test: set())


def test_a_function_that_fails_or_gives_something_else_is_told_so():
    assert "failed: AttributeError" in leaking_patients(lambda train, test: {study.patient for study in train})
    assert "failed: TypeError" in leaking_patients(lambda train: set())
    assert "list" in leaking_patients(lambda train, test: [])
    assert "function" in leaking_patients({("a", "2")})


def test_the_scarcest_task_keeps_all_of_its_pairs():
    right = {"report_generation": 700, "abnormality_grounding": 1000, "anatomical_grounding": 300}
    assert mixture_sizes(right) is None
    assert mixture_sizes({task: float(count) for task, count in right.items()}) is None
    assert "only 1500" in mixture_sizes(right | {"abnormality_grounding": 2000})
    assert "more can be kept" in mixture_sizes({task: count / 10 for task, count in right.items()})
    assert "shares" in mixture_sizes(right | {"anatomical_grounding": 700})
    assert "shares" in mixture_sizes(dict.fromkeys(right, 0))
    assert "dictionary" in mixture_sizes([700, 1000, 300])
    assert "no number" in mixture_sizes(right | {"report_generation": "all"})


def test_the_notebook_can_check_them_by_name(capsys):
    check("01.1", Box(0.25, 0.1875, 0.75, 0.5625), strict=True)
    assert capsys.readouterr().out == "exercise 01.1: right\n"
