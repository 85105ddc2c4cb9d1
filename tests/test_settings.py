"""Settings from YAML: ranges, alternatives of several types, and what is written back."""

from dataclasses import dataclass, field

import pytest

from radvlm_course.settings import ProfileError, build_settings, limits, plain_values


@dataclass(frozen=True)
class Inner:
    share: float = field(default=0.5, metadata=limits(0, maximum=1))
    extra: int = field(default=7, metadata=limits(silent_default=True))


@dataclass(frozen=True)
class Outer:
    names: list[str] | str
    inner: Inner | None = None
    weights: str | dict[str, float] = "equal"
    later: list[str] = field(default_factory=list, metadata=limits(silent_default=True))


@pytest.mark.parametrize("value", [0, 1, 0.25])
def test_both_ends_of_a_range_are_allowed(value):
    assert build_settings(Inner, {"share": value}, "file").share == value


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_value_out_of_range_is_named_with_the_range(value):
    with pytest.raises(ProfileError, match=r"file: inner\.share must be a number from 0 to 1, found"):
        build_settings(Outer, {"names": "a", "inner": {"share": value}}, "file")


def test_a_value_may_have_one_of_several_types():
    assert build_settings(Outer, {"names": ["a", "b"]}, "file").names == ["a", "b"]
    assert build_settings(Outer, {"names": ".*_proj"}, "file").names == ".*_proj"
    assert build_settings(Outer, {"names": "a", "weights": {"x": 2}}, "file").weights == {"x": 2.0}
    with pytest.raises(ProfileError, match="names must be of type str, found 3"):
        build_settings(Outer, {"names": 3}, "file")
    with pytest.raises(ProfileError, match=r"names\[1\] must be of type str, found 3"):
        build_settings(Outer, {"names": ["a", 3]}, "file")


def test_plain_values_leave_out_what_is_silent_at_its_default_and_read_back_equal():
    settings = Outer(["a"], Inner(share=0.25))
    assert plain_values(settings) == {"names": ["a"], "inner": {"share": 0.25}, "weights": "equal"}
    changed = Outer("a", Inner(extra=8), later=["b"])
    values = plain_values(changed)
    assert values["inner"] == {"share": 0.5, "extra": 8}
    assert values["later"] == ["b"]
    for each in (settings, changed):
        assert build_settings(Outer, plain_values(each), "file") == each


def test_plain_values_are_a_copy():
    settings = Outer(["a"])
    plain_values(settings)["names"].append("b")
    assert settings.names == ["a"]
