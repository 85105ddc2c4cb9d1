"""How films are divided into train, validation and test, and which patients a division tears apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radvlm_course.viz import style

__all__ = ["patient_splits"]

SPLITS = ("train", "validation", "test")
_ROW = 0.26  # inches
_PANEL = 3.3
_DOTS: dict[str, dict[str, object]] = {
    "train": {"marker": "o", "color": style.SERIES[0], "markersize": 8},
    "validation": {"marker": "s", "color": style.SERIES[2], "markersize": 8},
    "test": {"marker": "D", "color": style.SERIES[1], "markersize": 7.5},
}


@style.styled
def patient_splits(films: Mapping[str, Sequence[tuple[str, str]]], patients: int = 12) -> Figure:
    """Ways of splitting the same films, side by side: a row a patient, a dot a film, its look the film's split.

    A patient whose films fall into more than one split is marked; the heading counts them over all patients.

    Args:
        films: way of splitting -> (patient, split) for every film, in the same order in each.
        patients: how many to draw, evenly from each split of the last way; first those that some way tears
            apart, then those with several films.

    Raises:
        ValueError: there is no film, or the ways have different numbers of films.
    """
    if not films or len({len(pairs) for pairs in films.values()}) != 1 or not next(iter(films.values())):
        found = {name: len(pairs) for name, pairs in films.items()}
        raise ValueError(f"expected the same films, at least one, for every way of splitting; found {found}")
    shown = _chosen_patients(films, patients)
    top, height = 0.62, _ROW * len(shown)
    figure = style.new_figure(1.3 + len(films) * (_PANEL + 0.25), top + height + 0.45)
    for index, (name, pairs) in enumerate(films.items()):
        axes = style.axes_at(figure, 1.2 + index * (_PANEL + 0.25), top, _PANEL, height)
        by_patient = _by_patient(pairs)
        torn = sum(len(set(found)) > 1 for found in by_patient.values())
        axes.set_title(f"{style.printable(name)}\n{torn} of {len(by_patient)} patients in several splits", fontsize=9.5)
        for row, patient in enumerate(shown):
            _patient_row(axes, row, by_patient.get(patient, []))
        axes.set(xlim=(-0.4, 7), ylim=(len(shown) - 0.5, -0.5), xticks=[])
        axes.set_yticks(range(len(shown)), [style.printable(patient) for patient in shown] if index == 0 else [])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    looks = [{**_DOTS[split], "label": split, "linestyle": ""} for split in SPLITS]
    handles = [Line2D([], [], **look) for look in looks]  # type: ignore[arg-type]
    across, tall = figure.get_size_inches()
    place = (1.2 / across, 0.12 / tall)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=place, ncols=3, borderaxespad=0)
    return figure


def _patient_row(axes: Axes, row: int, splits: Sequence[str]) -> None:
    for place, split in enumerate(splits):
        axes.plot([place], [row], linestyle="", **_DOTS[split])  # type: ignore[arg-type]
    if len(set(splits)) > 1:
        note = "in " + " and ".join(split for split in SPLITS if split in splits)
        axes.text(len(splits) - 0.4, row, note, va="center", fontsize=8, color=style.PREDICTION_INK)


def _chosen_patients(films: Mapping[str, Sequence[tuple[str, str]]], wanted: int) -> list[str]:
    pairs = list(films.values())[-1]
    count = Counter(patient for patient, _ in pairs)
    split_of = dict(reversed(pairs))
    torn = {patient for way in films.values() for patient, found in _by_patient(way).items() if len(set(found)) > 1}
    order = sorted(split_of, key=lambda patient: (patient not in torn, count[patient] == 1, patient))
    each = max(1, wanted // len(set(split_of.values())))
    chosen = {split: [patient for patient in order if split_of[patient] == split][:each] for split in SPLITS}
    return [patient for found in chosen.values() for patient in sorted(found)]


def _by_patient(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Patient -> the splits of the films, in the order given."""
    found: dict[str, list[str]] = {}
    for patient, split in pairs:
        found.setdefault(patient, []).append(split)
    return found
