"""A table of the paper with our rows, as Markdown and as LaTeX (booktabs).

Both say the same: the paper's rows as printed with the best of each column bold, a line with the examples behind them,
our rows with intervals, n and places, and below what every column means and where the numbers stand.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from radvlm_course.evaluation.beside_paper import SideBySide
from radvlm_course.evaluation.published import PublishedColumn, PublishedRow
from radvlm_course.evaluation.tables import escaped

__all__ = ["column_heading", "escaped_latex", "notes_of", "our_number", "to_latex", "to_markdown"]

UNKNOWN = "n/a"
_UNITS = {"percent": "%", "score": "", "characters": "characters", "billions": "B"}
_ARROWS = {"higher": "\N{UPWARDS ARROW}", "lower": "\N{DOWNWARDS ARROW}", "neither": ""}
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after the end of a line, [ and * would be read as options of the line break
    "*": "{*}",
    "\N{UPWARDS ARROW}": r"$\uparrow$",
    "\N{DOWNWARDS ARROW}": r"$\downarrow$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


def column_heading(column: PublishedColumn) -> str:
    """Title, unit and the direction that is better."""
    title = f"{column.title}, {_UNITS[column.unit]}" if _UNITS[column.unit] else column.title
    return f"{title} {_ARROWS[column.better]}".strip()


def our_number(side: SideBySide, name: str, key: str) -> tuple[str, str]:
    """A number of ours and, apart, its interval, n and place; both as plain text."""
    interval = side.ours[name].get(key)
    if interval is None:
        return UNKNOWN, ""
    column = side.table.columns[key]
    parts = []
    if not math.isnan(interval.low):
        parts.append(f"[{column.text(interval.low)}, {column.text(interval.high)}]")
    parts.append(f"n = {interval.n:,}")
    if place := side.places.get(key, {}).get(name):
        parts.append(f"place {place}")
    return column.text(interval.value), ", ".join(parts)


def notes_of(side: SideBySide, columns: Collection[str] | None = None) -> list[str]:
    """What stands below the table, one sentence or more an entry.

    Args:
        columns: those that are explained; None explains all.
    """
    table = side.table
    shown = [column for key, column in table.columns.items() if columns is None or key in columns]
    meanings = "; ".join(f"{column.title}: {column.meaning}" for column in shown)
    notes = [f"Source of the paper's rows: {table.citation}. {table.note}", f"Columns: {meanings}."]
    if side.ours:
        notes.append(
            f"Our rows: in brackets {side.level:.0%} intervals by patient; n, the examples behind the number; place, "
            "the ranks among our rows that the intervals allow, where one stands before another only if its whole "
            "interval does. The paper's rows have no intervals: nothing is ranked against them. Numbers on other "
            "films than the paper's are not comparable with its rows."
        )
    return [*notes, *side.notes]


def to_markdown(side: SideBySide) -> str:
    """A Markdown table with a heading and the notes below it."""
    table = side.table
    header = [table.first_column, "from", *map(column_heading, table.columns.values())]
    lines = [header, ["---", "---", *["---:"] * len(table.columns)], ["examples", "paper", *_paper_examples(side)]]
    for row in table.rows:
        lines.append([escaped(row.name), "paper", *(_paper_markdown(side, row, key) for key in table.columns)])
    for name in side.ours:
        cells = [_our_markdown(side, name, key) for key in table.columns]
        lines.append([escaped(name), escaped(f"ours: {side.data[name]}"), *cells])
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    notes = "\n".join(f"- {note}" for note in notes_of(side))
    return f"**Table {table.number} of the paper: {table.title}**\n\n{rows}\n\n{notes}\n"


def _paper_examples(side: SideBySide) -> list[str]:
    return [f"{column.paper_n:,}" if column.paper_n else UNKNOWN for column in side.table.columns.values()]


def _paper_markdown(side: SideBySide, row: PublishedRow, key: str) -> str:
    text = side.table.columns[key].text(row.values[key])
    text = f"**{text}**" if row.name in side.table.best(key) else text
    return text + ("\\*" if row.trained_on == key else "")


def _our_markdown(side: SideBySide, name: str, key: str) -> str:
    value, rest = our_number(side, name, key)
    value = f"**{value}**" if _is_first(side, name, key) else value
    return f"{value} {rest}".strip()


def _is_first(side: SideBySide, name: str, key: str) -> bool:
    place = side.places.get(key, {}).get(name)
    return place is not None and place.is_rank and place.best == 1


def escaped_latex(text: str) -> str:
    """Text in which every sign that LaTeX reads as a command stands for itself."""
    return "".join(_LATEX.get(sign, sign) for sign in text.replace("\n", " "))


def to_latex(side: SideBySide) -> str:
    """A ``table`` for a document that loads booktabs (``\\usepackage{booktabs}``); the notes stand below."""
    table = side.table
    columns = "l" + "r" * len(table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        "\\footnotesize",
        f"\\caption{{Table {table.number} of the paper: {escaped_latex(table.title)}}}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        _latex_line([table.first_column, *map(column_heading, table.columns.values())]),
        _latex_line(["examples of the paper", *_paper_examples(side)]),
        "\\midrule",
        *(_paper_latex(side, row) for row in table.rows),
    ]
    if side.ours:
        lines += ["\\midrule", *(_our_latex(side, name) for name in side.ours)]
    lines += ["\\bottomrule", "\\end{tabular}", "", "\\begin{minipage}{\\linewidth}", "\\scriptsize"]
    lines += [escaped_latex(note) + "\\par" for note in notes_of(side)]
    return "\n".join([*lines, "\\end{minipage}", "\\end{table}"]) + "\n"


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped_latex, cells)) + r" \\"


def _paper_latex(side: SideBySide, row: PublishedRow) -> str:
    cells = [escaped_latex(row.name)]
    for key, column in side.table.columns.items():
        text = column.text(row.values[key])
        text = f"\\textbf{{{text}}}" if row.name in side.table.best(key) else text
        cells.append(text + ("$^{*}$" if row.trained_on == key else ""))
    return " & ".join(cells) + r" \\"


def _our_latex(side: SideBySide, name: str) -> str:
    cells = [escaped_latex(f"{name} (ours: {side.data[name]})")]
    for key in side.table.columns:
        value, rest = our_number(side, name, key)
        value = f"\\textbf{{{value}}}" if _is_first(side, name, key) else value
        cells.append(value + (f" {{\\scriptsize {escaped_latex(rest)}}}" if rest else ""))
    return " & ".join(cells) + r" \\"
