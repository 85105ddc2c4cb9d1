"""Which profile fits a machine that is only pretended."""

import pytest

from radvlm_course.choice import choose_profile
from radvlm_course.machine import Gpu, Machine


def machine(*gpus, memory=64.0, disk=20.0):
    return Machine(memory, disk, tuple(gpus))


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        ((), "laptop"),
        ((Gpu("GeForce", 7.8),), "laptop"),
        ((Gpu("GeForce", 11.9),), "gpu-12gb"),
        ((Gpu("T4", 14.6, has_bfloat16=False),), "gpu-12gb"),
        ((Gpu("GeForce", 15.7),), "gpu-16gb"),
        ((Gpu("GeForce", 23.6),), "gpu-24gb"),
        ((Gpu("L40S", 44.4),), "gpu-24gb"),
        ((Gpu("H100", 79.2),), "gpu-80gb"),
        ((Gpu("GeForce", 23.6),) * 4, "gpu-24gb"),
    ],
)
def test_the_largest_profile_that_the_cards_hold_is_chosen(gpus, expected):
    assert choose_profile(machine(*gpus)).profile == expected


def test_many_large_cards_get_full_fine_tuning():
    assert choose_profile(machine(*[Gpu("H100", 79.2)] * 8, memory=2000)).profile == "multi-gpu"


def test_the_processors_memory_counts_and_free_disk_does_not():
    card = Gpu("GeForce", 23.6)
    assert choose_profile(machine(card, memory=12.7)).profile == "gpu-12gb"
    assert choose_profile(machine(card, disk=0.5)).profile == "gpu-24gb"


def test_a_machine_too_small_for_anything_gets_the_smallest():
    assert choose_profile(machine(memory=2)).profile == "laptop"


def test_the_choice_says_what_decided_and_what_to_expect():
    choice = choose_profile(machine(Gpu("T4", 14.6, has_bfloat16=False)))
    assert choice.because == "there is 1 x T4, 15 GB"
    assert "bfloat16" in choice.warnings[0]
    assert choose_profile(machine(Gpu("A", 23.6), Gpu("A", 23.6))).warnings == ("one of the GPUs is used",)
    assert choose_profile(machine()).because == "there is no GPU"


def test_a_gpu_that_torch_cannot_use_does_not_count_and_is_mentioned():
    choice = choose_profile(machine(Gpu("GeForce", 23.6, usable=False)))
    assert choice.profile == "laptop"
    assert choice.because == "there is a GPU that torch cannot use"
