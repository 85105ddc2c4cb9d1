"""One film and the text that belongs to it: its instruction pairs, drawn; and small tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.viz import style
from radvlm_course.viz.boxes import aspect_of, draw_annotated
from radvlm_course.viz.films import Film

__all__ = ["film_and_text", "labelled_boxes", "markdown_table", "show_pairs", "show_report"]

_SIZE = 9.5
_LINE = 0.185  # inches a line of text takes
_FILM, _TEXT, _SHORT_TEXT, _MARGIN, _GAP = 4.4, 5.4, 3.4, 0.12, 0.3


def labelled_boxes(boxes: Mapping[str, Sequence[Box]]) -> tuple[list[Box], list[str]]:
    """The boxes of a study's ``abnormalities`` (or ``structures``) in one list, and the name of each.

    >>> labelled_boxes({"nodule": (Box(0, 0, 0.1, 0.1), Box(0.5, 0, 0.6, 0.1))})[1]
    ['nodule', 'nodule']
    """
    pairs = [(box, name) for name, found in boxes.items() for box in found]
    return [box for box, _ in pairs], [name for _, name in pairs]


@style.styled
def show_pairs(
    film: Film, examples: Sequence[Example], truth: Sequence[Box] = (), truth_labels: Sequence[str] = ()
) -> Figure:
    """A film on the left; on the right what is asked about it and what is to be answered.

    Args:
        examples: pairs about this film, drawn in the order given.
        truth, truth_labels: boxes to draw on the film, unit coordinates, with a label each or none.

    Raises:
        ValueError: no pair, or pairs about several films.
    """
    if not examples or len({example.image_path for example in examples}) != 1:
        found = sorted({example.image_path for example in examples})
        raise ValueError(f"expected at least one pair, all about one film; found films {found}")
    blocks = [
        (example.task.replace("_", " "), f"Q: {example.question}", f"A: {example.answer}") for example in examples
    ]
    return film_and_text(film, truth, truth_labels, blocks, _TEXT)


@style.styled
def show_report(film: Film, report: str, truth: Sequence[Box] = (), truth_labels: Sequence[str] = ()) -> Figure:
    """A film with its boxes on the left, its report on the right, a line a sentence."""
    sentences = [f"{sentence.strip().rstrip('.')}." for sentence in report.split(". ") if sentence.strip(" .")]
    return film_and_text(film, truth, truth_labels, [("report", sentence, "") for sentence in sentences], _SHORT_TEXT)


def film_and_text(
    film: Film, truth: Sequence[Box], labels: Sequence[str], blocks: Sequence[tuple[str, str, str]], width: float
) -> Figure:
    """A film with boxes on the left, blocks of text on the right.

    Args:
        blocks: (heading, question, answer); a heading that repeats the one above is not written again.
        width: of the text, in inches.
    """
    lines = _lines(blocks, width)
    height = _FILM * aspect_of(film)
    tall = max(height, sum(room for _, _, _, room in lines)) + 2 * _MARGIN
    figure = style.new_figure(_FILM + _GAP + width + 2 * _MARGIN, tall)
    paper = style.page(figure)
    draw_annotated(style.axes_at(figure, _MARGIN, _MARGIN, _FILM, height), film, truth, truth_labels=labels)
    _write(paper, lines, _MARGIN + _FILM + _GAP, _MARGIN)
    return figure


def _lines(blocks: Sequence[tuple[str, str, str]], width: float) -> list[tuple[str, str, float, float]]:
    """(text, colour, size, room in inches) of every line."""
    lines: list[tuple[str, str, float, float]] = []
    above = ""
    for heading, question, answer in blocks:
        if heading != above:
            lines += [("", style.INK, _SIZE, 0.1)] if lines else []
            lines.append((heading, style.MUTED, 8.5, _LINE))
        above = heading
        for text, colour in ((question, style.INK), (answer, style.TRUTH_INK)):
            if text:
                lines += [(line, colour, _SIZE, _LINE) for line in style.wrapped(text, width, _SIZE)]
        lines.append(("", style.INK, _SIZE, 0.07))
    return lines


def _write(paper: Axes, lines: Iterable[tuple[str, str, float, float]], left: float, top: float) -> None:
    for text, colour, size, room in lines:
        if text:
            paper.text(left, top, text, color=colour, fontsize=size, va="top")
        top += room


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A GitHub table; cells that are numbers stand to the right.

    Raises:
        ValueError: a row has another number of cells than there are columns.

    >>> print(markdown_table(["finding", "films"], [["nodule", 12]]))
    | finding | films |
    | --- | ---: |
    | nodule | 12 |
    """
    body = [list(row) for row in rows]
    if wrong := [row for row in body if len(row) != len(columns)]:
        raise ValueError(f"expected {len(columns)} cells in every row ({', '.join(columns)}), found {wrong[0]}")
    right = [bool(body) and all(isinstance(row[index], int | float) for row in body) for index in range(len(columns))]
    rules = ["---:" if each else "---" for each in right]
    lines: list[Sequence[object]] = [columns, rules, *body]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
