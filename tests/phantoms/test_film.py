"""Phantoms are reproducible, their boxes independent of the picture's size, their facts consistent."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from radvlm_course.phantoms import FINDINGS, STRUCTURES, Phantom, make_phantom
from radvlm_course.phantoms.film import plan_film


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = make_phantom(11), make_phantom(11)
    assert first.image.tobytes() == second.image.tobytes()
    assert (first.report, first.structures, first.abnormalities) == (
        second.report,
        second.structures,
        second.abnormalities,
    )


def test_another_process_gives_the_same_bytes() -> None:
    code = (
        "import hashlib; from radvlm_course.phantoms import make_phantom; "
        "print(hashlib.sha256(make_phantom(12).image.tobytes()).hexdigest())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == hashlib.sha256(make_phantom(12).image.tobytes()).hexdigest()


def test_different_seeds_differ() -> None:
    assert make_phantom(1, 32).image.tobytes() != make_phantom(2, 32).image.tobytes()


@pytest.mark.parametrize("seed", [0, 7, 19, 23])
def test_boxes_and_report_are_the_same_at_every_size(seed: int) -> None:
    small, middle, large = (make_phantom(seed, size) for size in (48, 128, 384))
    assert small.structures == middle.structures == large.structures
    assert small.abnormalities == middle.abnormalities == large.abnormalities
    assert small.report == middle.report == large.report
    assert [each.image.shape for each in (small, middle, large)] == [(48, 48), (128, 128), (384, 384)]


def test_a_small_picture_is_the_large_one_averaged() -> None:
    large = make_phantom(5, 256).image.astype(float)
    small = make_phantom(5, 128).image.astype(float)
    averaged = large.reshape(128, 2, 128, 2).mean(axis=(1, 3))
    assert np.abs(averaged - small).max() <= 1


def test_the_picture_is_grey_of_the_promised_type() -> None:
    image = make_phantom(3).image
    assert image.dtype == np.uint8 and image.shape == (128, 128)
    assert image.min() < 10 and image.max() > 180 and image.std() > 30


def test_films_of_one_patient_share_the_body_and_nothing_else() -> None:
    first, second = plan_film(100, patient_seed=9), plan_film(101, patient_seed=9)
    assert first.case.thorax.body == second.case.thorax.body
    assert first.case.thorax.pose != second.case.thorax.pose


def test_every_finding_is_labelled_and_present_ones_have_boxes(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert tuple(phantom.findings) == FINDINGS
        assert set(phantom.findings.values()) <= {0, 1, -1}
        present = {name for name, value in phantom.findings.items() if value}
        assert present == set(phantom.abnormalities) == set(phantom.attributes)
        for name, boxes in phantom.abnormalities.items():
            assert 1 <= len(boxes) <= 2 and len(boxes) == len(phantom.attributes[name])


def test_boxes_lie_inside_the_image_and_are_large_enough_to_see(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        for boxes in phantom.abnormalities.values():
            for box in boxes:
                assert 0 <= box.x1 < box.x2 <= 1 and 0 <= box.y1 < box.y2 <= 1
                assert min(box.width, box.height) >= 0.055


def test_nodules_are_squares_of_the_promised_width(phantoms: list[Phantom]) -> None:
    boxes = [box for phantom in phantoms for box in phantom.abnormalities.get("nodule", ())]
    assert boxes and all(0.13 <= box.width <= 0.22 for box in boxes)
    assert all(abs(box.width - box.height) < 1e-5 for box in boxes)


def test_sides_are_the_patients(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        middle = phantom.structures["spine"][0].center[0]
        right, left = phantom.structures["right lung"][0], phantom.structures["left lung"][0]
        assert right.center[0] < middle < left.center[0]
        for finding in ("pleural effusion", "pneumothorax", "nodule", "consolidation", "atelectasis", "edema"):
            boxes, attributes = phantom.abnormalities.get(finding, ()), phantom.attributes.get(finding, ())
            for box, attribute in zip(boxes, attributes, strict=True):
                near, far = (right, left) if attribute.side == "right" else (left, right)
                assert box.iou(near) > box.iou(far) and attribute.side in ("left", "right")


def test_structures_have_known_names_and_lie_where_anatomy_puts_them(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert set(phantom.structures) <= set(STRUCTURES)
        assert set(STRUCTURES) - set(phantom.structures) <= {"left costophrenic angle", "right costophrenic angle"}
        boxes = {name: each[0] for name, each in phantom.structures.items()}
        assert boxes["trachea"].y1 < boxes["heart"].y1 and boxes["aortic arch"].center[1] < boxes["heart"].center[1]
        for side in ("left", "right"):
            upper, mid, lower = (boxes[f"{side} {zone} lung zone"] for zone in ("upper", "mid", "lower"))
            assert upper.center[1] < mid.center[1] < lower.center[1]
            assert boxes[f"{side} hemidiaphragm"].center[1] > mid.center[1]


@pytest.mark.parametrize(("seed", "size", "patient"), [(-1, 128, None), (0, 8, None), (0, 128, -3)])
def test_impossible_requests_are_refused(seed: int, size: int, patient: int | None) -> None:
    with pytest.raises(ValueError, match="expected"):
        make_phantom(seed, size, patient)
