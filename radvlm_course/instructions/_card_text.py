"""The card of a mixture as a page for people: ``README.md`` beside its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from radvlm_course.instructions._files import Card

__all__ = ["card_text"]


def card_text(card: Card) -> str:
    """Markdown with counts, licences, seed, digests, and what was left out and why.

    It can be passed on: no text of a report, no identifier of a patient and no path is shown; those are in
    ``card.json`` and in the files.
    """
    blocks = [
        f"# Mixture {card.name}",
        "Instruction pairs about chest radiographs, one JSON object a line. For research and teaching only. Nothing "
        "here may be used for diagnosis.",
        _pairs(card),
        _datasets(card),
        _leaks(card),
        _left_out(card),
        _making(card),
        _files(card),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]], numbers: int) -> str:
    """A table whose last ``numbers`` columns are aligned to the right."""
    marks = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    lines = [header, marks, *([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _pairs(card: Card) -> str:
    blocks = ["## Pairs"]
    for split, entries in card.entries.items():
        films, patients = card.studies[split], card.patients[split]
        blocks.append(f"**{split}**: {card.total(split):,} pairs; {films:,} films of {patients:,} patients were read.")
        rows = []
        for entry in entries:
            left_out, paper = sum(entry["left_out"].values()), entry["paper"] or ""
            what = (entry["task"].replace("_", " "), entry["source"] or ", ".join(card.datasets))
            rows.append((*what, entry["repeat"], entry["built"], left_out, entry["thinned"], entry["kept"], paper))
        header = ("task", "dataset", "repeat", "built", "left out", "thinned", "kept", "paper")
        blocks.append(_table(header, rows, 6))
    blocks.append(
        "Built: pairs that the data gives, repeats included. Left out: their film or patient stands in a higher split. "
        "Thinned: not needed for the wanted amounts. Paper: what the method's table counts."
    )
    if card.missing:
        blocks.append(f"Not given, so without their entries: {', '.join(card.missing)}.")
    return "\n\n".join(blocks)


def _datasets(card: Card) -> str:
    if not card.datasets:
        return ""
    rows = [
        (name, known["title"], known["licence"], "yes" if known["credentialed"] else "no", known["patients"])
        for name, known in card.datasets.items()
    ]
    note = (
        "The pairs fall under the terms of the datasets that they were made from. Text and images of credentialed "
        "datasets must not leave the machine. Patients are compared among datasets of one patient namespace."
    )
    nameless = [name for name, known in card.datasets.items() if not known["names_patients"]]
    if nameless:
        note += f" No patients are named by {', '.join(nameless)}: there each film counts as one."
    header = ("dataset", "title", "licence", "credentialed", "patient namespace")
    return f"## Datasets\n\n{_table(header, rows, 0)}\n\n{note}"


def _leaks(card: Card) -> str:
    lines = ["## No patient in two splits", ""]
    if not card.overlaps:
        lines.append("Checked: no patient and no image of a kept pair stands in two splits.")
    for pair, common in card.overlaps.items():
        found = ", ".join(f"{count:,} x {kind}" for kind, count in common.items() if count)
        lines.append(
            f"- **Allowed by the setting `cross_source_leaks`**: in both {' and '.join(pair.split('/'))}: {found}"
        )
    compared = {"content": "and bytes", "pixels": "and decoded pixels", "path": "alone"}[card.settings["image_check"]]
    lines.append(f"Images were compared by name {compared}.")
    lines += [f"- Not checked: {message}." for message in card.unchecked]
    for split, entries in card.entries.items():
        for entry in entries:
            for reason, count in entry["left_out"].items():
                lines.append(f"- {split}, {entry['task']} of {entry['source']}: {count:,} pairs left out, {reason}")
    return "\n".join(lines)


def _left_out(card: Card) -> str:
    blocks = ["## What was left out, and why"]
    rows = [
        (split, entry.get("source", ""), entry["task"].replace("_", " "), entry["reason"], entry["count"])
        for split, found in card.skipped.items()
        for entry in found
    ]
    if rows:
        blocks += [
            "Pairs that a film could not give:",
            _table(("split", "dataset", "task", "reason", "films"), rows, 1),
        ]
    lines = [
        f"- {reading}: {count:,} x {reason}"
        for reading, report in card.read.items()
        for kind in ("skipped", "noted")
        for reason, count in report[kind].items()
    ]
    if lines:
        blocks += ["What the readers left out or changed (`card.json` has the first places of each):", "\n".join(lines)]
    return "\n\n".join(blocks) if len(blocks) > 1 else f"{blocks[0]}\n\nNothing."


def _making(card: Card) -> str:
    settings = card.settings
    semantics = ", ".join(f"{name} {value}" for name, value in settings["semantics"].items())
    return "\n".join(
        (
            "## How it was made",
            "",
            f"- seed {card.seed}; the same seed, settings and data give the same bytes with any number of processes",
            f"- order: {settings['order']}",
            f"- wordings: {settings['templates']}, digest {settings['template_digest'][:16]}",
            f"- labels: {semantics}, unless an entry says otherwise",
            f"- fingerprint of the data: {settings['fingerprint'][:16] or 'none given'}",
            *_told(card),
            "- every setting stands in `card.json`",
        )
    )


def _told(card: Card) -> list[str]:
    """The readers' options that were given at build time; of a folder, only that there was one."""
    return [
        f"- told at build time: {name}.{option} = {'(a folder)' if '/' in str(value) else value}"
        for name, options in card.options.items()
        for option, value in options.items()
    ]


def _files(card: Card) -> str:
    rows = [(f"`{name}`", f"`{value}`") for name, value in card.sha256.items()]
    return f"## Files\n\n{_table(('file', 'SHA-256'), rows, 0)}"
