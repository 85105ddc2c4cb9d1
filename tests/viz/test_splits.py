"""The picture of a split: which patients it tears apart."""

import pytest

from radvlm_course.viz.splits import patient_splits

BY_PATIENT = [("a", "train"), ("a", "train"), ("b", "test"), ("b", "test"), ("c", "train")]
BY_FILM = [("a", "train"), ("a", "test"), ("b", "test"), ("b", "test"), ("c", "train")]


def test_torn_patients_are_counted_and_named(helpers):
    figure = patient_splits({"by film": BY_FILM, "by patient": BY_PATIENT}, patients=4)
    texts = helpers.texts(figure)
    assert "by film\n1 of 3 patients in several splits" in texts
    assert "by patient\n0 of 3 patients in several splits" in texts
    assert texts.count("in train and test") == 1
    assert helpers.inside(figure)


def test_torn_patients_are_drawn_first_and_every_split_is_seen(helpers):
    texts = helpers.texts(patient_splits({"by film": BY_FILM, "by patient": BY_PATIENT}, patients=2))
    assert {"a", "b"} <= set(texts)
    assert "c" not in texts


def test_ways_must_divide_the_same_films():
    with pytest.raises(ValueError, match="same films"):
        patient_splits({"by film": BY_FILM, "by patient": BY_PATIENT[:3]})
    with pytest.raises(ValueError, match="same films"):
        patient_splits({})
