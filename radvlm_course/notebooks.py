"""Notebooks from text sources: build, execute, check.

``notebooks/source/NN_name.py`` (jupytext's percent format) is what people edit and review, and
``notebooks/NN_name.ipynb`` is what they open; ``solutions/`` likewise below both. Building keeps the
outputs of cells whose code did not change. Executing runs a notebook from top to bottom in a fresh
kernel, in the folder where it lies, and writes to ``build/notebooks`` unless told to replace the
stored one. Whatever would differ from run to run for no reason is left out: timings, random cell
names, widget state. A widget needs a kernel, so only what shows without one is kept of it. Pictures are stored with a
palette where nobody sees it.

    python -m radvlm_course.notebooks build [--execute] [--write] [--workers N] [NAMES]
    python -m radvlm_course.notebooks check [NAMES]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from radvlm_course.notebook_pictures import smaller_png

__all__ = [
    "NotebookError",
    "build_notebook",
    "check_notebook",
    "clean_notebook",
    "execute_notebook",
    "find_notebooks",
    "main",
    "read_source",
]

PNG = "image/png"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
# A path of the machine that executed the notebook, in any text output.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|Users|root|tmp|private|var|opt|mnt|usr|work|data)/[\w.+-]+|\b[A-Z]:\\Users"
)


class NotebookError(RuntimeError):
    """A notebook that is missing, failed, or differs from its source."""


def find_notebooks(root: Path, patterns: Sequence[str] = ()) -> list[str]:
    """Names of the sources below ``root/notebooks/source``, sorted, solutions last.

    Args:
        root: the repository's root.
        patterns: names or shell patterns to choose (``05_grpo_grounding``, ``solutions/*``); all if empty.

    Raises:
        NotebookError: there are no sources, or a pattern matches none.
    """
    source = root / "notebooks" / "source"
    names = [
        path.relative_to(source).with_suffix("").as_posix()
        for folder in ("", "solutions")
        for path in sorted((source / folder).glob("[0-9][0-9]_*.py"))
    ]
    if not names:
        raise NotebookError(f"no notebook sources (NN_name.py) in {source}: run from the repository's root")
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise NotebookError(f"no notebook source matches {pattern!r}; there are: {', '.join(names)}")
    return [name for name in names if not patterns or any(fnmatch(name, pattern) for pattern in patterns)]


def read_source(path: Path) -> Any:
    """The notebook (without outputs) that a percent-format source describes, with repeatable cell names."""
    import jupytext

    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = {"kernelspec": dict(KERNEL), "language_info": dict(LANGUAGE)}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = f"{digest}-{seen[digest]}"
    return notebook


def build_notebook(source: Path, stored: Path) -> Any:
    """The notebook of a source, with the outputs that ``stored`` has for cells whose code is the same."""
    notebook = read_source(source)
    outputs: dict[str, list[Any]] = {}
    if stored.exists():
        for cell in _code_cells(_read(stored)):
            outputs.setdefault(cell.source, []).append(cell)
    for cell in _code_cells(notebook):
        if same := outputs.get(cell.source):
            old = same.pop(0)
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return notebook


def execute_notebook(notebook: Any, folder: Path, name: str, timeout: float) -> None:
    """Run every code cell in order, in place, with a progress bar.

    Args:
        folder: the kernel's working directory.
        timeout: seconds that one cell may take.

    Raises:
        NotebookError: a cell failed or took too long; names it and shows its code and its error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from tqdm.auto import tqdm

    cells = list(_code_cells(notebook))
    progress = tqdm(total=len(cells), desc=name, unit="cell", disable=None)
    running: list[int] = []
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        on_cell_start=lambda cell, cell_index: running.append(cell_index),
        on_cell_executed=lambda cell, cell_index, execute_reply: progress.update(),
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        index = running[-1] if running else 0
        code = notebook.cells[index].source
        reason = _without_colours(str(error) or f"no answer within {timeout:.0f} s")
        raise NotebookError(f"{name}: cell {index + 1} failed.\n\n{code}\n\n{reason}") from error
    finally:
        progress.close()


def clean_notebook(notebook: Any) -> None:
    """Take out, in place, what needs a kernel to be seen or differs from run to run."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"], notebook.metadata["language_info"] = dict(KERNEL), dict(LANGUAGE)
    for cell in _code_cells(notebook):
        cell.metadata.pop("execution", None)
        cell.outputs = [output for output in cell.outputs if not _only_a_widget(output)]
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)
            output.get("metadata", {}).pop(WIDGET_VIEW, None)
            if PNG in output.get("data", {}):
                smaller = smaller_png(base64.b64decode(output.data[PNG]))
                output.data[PNG] = base64.b64encode(smaller).decode("ascii")
            if output.output_type == "stream":
                # What a terminal shows of a progress bar: its last state.
                output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text.rstrip("\r"))


def check_notebook(source: Path, stored: Path) -> list[str]:
    """What is wrong with a stored notebook, one sentence each; empty if nothing is.

    It must have the cells of its source, every code cell executed in order without an error, no
    widget state, and no absolute path in its outputs.
    """
    if not stored.exists():
        return ["it does not exist: build it"]
    notebook, expected = _read(stored), read_source(source)
    problems = [*_differences(expected.cells, notebook.cells)]
    if "widgets" in notebook.metadata:
        problems.append("it stores the state of widgets")
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if not cell.execution_count:
            problems.append(f"cell {number} was not executed")
        for output in cell.outputs:
            if output.output_type == "error":
                problems.append(f"cell {number} ends in an error: {output.ename}: {output.evalue}")
            if WIDGET_VIEW in output.get("data", {}):
                problems.append(f"cell {number} stores a widget, which shows nothing without a kernel")
            problems += [f"cell {number} shows an absolute path: {path}" for path in _absolute_paths(output)]
    return problems


def _differences(expected: list[Any], found: list[Any]) -> Iterator[str]:
    for number, (wanted, cell) in enumerate(zip(expected, found, strict=False), start=1):
        if (wanted.cell_type, wanted.source) != (cell.cell_type, cell.source):
            yield f"cell {number} differs from its source, which has a {wanted.cell_type} cell:\n{wanted.source}"
            return
    if len(expected) != len(found):
        yield f"it has {len(found)} cells, its source has {len(expected)}"


def _absolute_paths(output: Any) -> list[str]:
    texts = [output.get("text", "")]
    texts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return sorted({match for text in texts for match in ABSOLUTE_PATH.findall(_without_data_urls(text))})


def _without_data_urls(text: str) -> str:
    return re.sub(r"data:[\w/+.-]+;base64,[\w+/=\s]+", "", text)


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _only_a_widget(output: Any) -> bool:
    """A widget with nothing beside it but its name in plain text."""
    kinds = set(output.get("data", {}))
    return WIDGET_VIEW in kinds and kinds <= {WIDGET_VIEW, "text/plain"}


def _code_cells(notebook: Any) -> Iterator[Any]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def _read(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        raise NotebookError(f"{path} is not a notebook: {error}") from error


def _write(notebook: Any, path: Path) -> None:
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    nbformat.write(notebook, partial)
    partial.replace(path)


def _build(root: Path, names: Sequence[str], execute: bool, write: bool, timeout: float, workers: int) -> None:
    if workers > 1:  # kernels share the cores
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(_build_one, root, name, execute, write, timeout) for name in names]
        try:
            for task in tasks:
                print(task.result(), flush=True)
        finally:
            for task in tasks:
                task.cancel()


def _build_one(root: Path, name: str, execute: bool, write: bool, timeout: float) -> str:
    """Build a notebook and write it; returns a line that says what was done."""
    started = time.monotonic()
    stored = root / "notebooks" / f"{name}.ipynb"
    target = stored if write or not execute else root / "build" / "notebooks" / f"{name}.ipynb"
    source = root / "notebooks" / "source" / f"{name}.py"
    notebook = read_source(source) if execute else build_notebook(source, stored)
    if execute:
        stored.parent.mkdir(parents=True, exist_ok=True)
        try:
            execute_notebook(notebook, stored.parent, name, timeout)
        except NotebookError:
            clean_notebook(notebook)
            _write(notebook, root / "build" / "notebooks" / f"{name}.failed.ipynb")
            raise
    clean_notebook(notebook)
    _write(notebook, target)
    minutes = f", {(time.monotonic() - started) / 60:.1f} min" if execute else ""
    return f"{target.relative_to(root)}: {len(list(_code_cells(notebook)))} code cells{minutes}"


def _check(root: Path, names: Sequence[str]) -> int:
    problems = [
        f"{name}.ipynb: {problem}"
        for name in names
        for problem in check_notebook(root / "notebooks/source" / f"{name}.py", root / "notebooks" / f"{name}.ipynb")
    ]
    for folder in ("", "solutions"):
        for path in sorted((root / "notebooks" / folder).glob("*.ipynb")):
            if not (root / "notebooks" / "source" / folder / f"{path.stem}.py").exists():
                problems.append(f"{path.relative_to(root / 'notebooks').as_posix()}: it has no source")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(names)} notebooks checked, {len(problems)} problems")
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m radvlm_course.notebooks", description="Build and check notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="write notebooks from their sources")
    build.add_argument("--execute", action="store_true", help="run them, into build/notebooks")
    build.add_argument("--write", action="store_true", help="with --execute: replace the stored notebooks instead")
    build.add_argument("--timeout", type=float, default=1800, help="seconds that one cell may take (default 1800)")
    text = "notebooks at a time (default 1); only when the run that they read is finished: they would make it twice"
    build.add_argument("--workers", type=int, default=1, help=text)
    check = commands.add_parser("check", help="compare the stored notebooks with their sources")
    for command in (build, check):
        command.add_argument(
            "names", nargs="*", metavar="NAME", help="name or pattern, e.g. 'solutions/*' (default: all)"
        )
        command.add_argument("--root", type=Path, default=Path.cwd(), help="the repository's root (default: here)")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    try:
        names = find_notebooks(root, options.names)
        if options.command == "check":
            return _check(root, names)
        _build(root, names, options.execute, options.write, options.timeout, max(1, options.workers))
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
