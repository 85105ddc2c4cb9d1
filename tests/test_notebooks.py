"""Notebooks: built from text, executed in a real kernel, and checked against their sources."""

import subprocess
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupytext")
pytest.importorskip("nbclient")

from radvlm_course.notebooks import (  # noqa: E402
    WIDGET_VIEW,
    NotebookError,
    build_notebook,
    check_notebook,
    clean_notebook,
    find_notebooks,
    main,
    read_source,
)

WHITE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
SOURCE = """# %% [markdown]
# # A tiny notebook

# %%
import os
answer = 41 + 1
print("in", os.path.basename(os.getcwd()))

# %%
answer
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks/source/solutions").mkdir(parents=True)
    (tmp_path / "notebooks/source/01_tiny.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def source_of(root: Path) -> Path:
    return root / "notebooks/source/01_tiny.py"


def stored_of(root: Path) -> Path:
    return root / "notebooks/01_tiny.ipynb"


def store_executed(root: Path) -> None:
    """What executing gives, without a kernel."""
    notebook = read_source(source_of(root))
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"output {count}\n")]
    nbformat.write(notebook, stored_of(root))


def edit(root: Path, change) -> None:
    notebook = nbformat.read(stored_of(root), as_version=4)
    change(notebook)
    nbformat.write(notebook, stored_of(root))


def test_the_same_source_gives_the_same_bytes(root: Path) -> None:
    assert main(["build", "--root", str(root)]) == 0
    first = stored_of(root).read_bytes()
    assert main(["build", "--root", str(root)]) == 0
    assert stored_of(root).read_bytes() == first


def test_executing_fills_the_outputs_and_leaves_the_stored_notebook_alone(root: Path) -> None:
    main(["build", "--root", str(root)])
    before = stored_of(root).read_bytes()
    assert main(["build", "--execute", "--root", str(root)]) == 0
    assert stored_of(root).read_bytes() == before
    executed = root / "build/notebooks/01_tiny.ipynb"
    assert check_notebook(source_of(root), executed) == []
    cells = nbformat.read(executed, as_version=4).cells
    assert cells[1].outputs[0].text == "in notebooks\n"
    assert cells[2].outputs[0].data["text/plain"] == "42"
    assert "execution" not in cells[1].metadata


def test_a_solution_runs_in_its_own_folder_and_write_replaces_the_stored_one(root: Path) -> None:
    solution = root / "notebooks/source/solutions/01_tiny.py"
    solution.write_text(SOURCE, encoding="utf-8")
    assert main(["build", "--execute", "--write", "--root", str(root), "solutions/*"]) == 0
    cells = nbformat.read(root / "notebooks/solutions/01_tiny.ipynb", as_version=4).cells
    assert cells[1].outputs[0].text == "in solutions\n"
    assert not stored_of(root).exists()


def test_a_failing_cell_is_named_with_its_code_and_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source_of(root).write_text(SOURCE + "\n# %%\nanswer / 0\n", encoding="utf-8")
    assert main(["build", "--execute", "--root", str(root)]) == 1
    message = capsys.readouterr().err
    assert "01_tiny: cell 4 failed" in message
    assert "answer / 0" in message
    assert "ZeroDivisionError" in message
    assert (root / "build/notebooks/01_tiny.failed.ipynb").exists()
    assert not (root / "build/notebooks/01_tiny.ipynb").exists()


def test_a_cell_that_takes_too_long_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source_of(root).write_text("# %%\nimport time\ntime.sleep(60)\n", encoding="utf-8")
    assert main(["build", "--execute", "--timeout", "1", "--root", str(root)]) == 1
    assert "cell 1 failed" in capsys.readouterr().err


def test_building_again_keeps_the_outputs_of_unchanged_cells(root: Path) -> None:
    store_executed(root)
    source_of(root).write_text(SOURCE.replace("41 + 1", "40 + 2"), encoding="utf-8")
    cells = build_notebook(source_of(root), stored_of(root)).cells
    assert cells[1].outputs == []
    assert cells[2].outputs[0].text == "output 2\n"


def test_a_whole_notebook_has_no_problems(root: Path) -> None:
    store_executed(root)
    assert main(["check", "--root", str(root)]) == 0


def test_a_cell_that_differs_from_its_source_is_found(root: Path) -> None:
    store_executed(root)
    edit(root, lambda notebook: notebook.cells[2].update(source="answer + 1"))
    (problem,) = check_notebook(source_of(root), stored_of(root))
    assert problem == "cell 3 differs from its source, which has a code cell:\nanswer"


def test_a_missing_cell_a_missing_notebook_and_an_orphan_are_found(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_notebook(source_of(root), stored_of(root)) == ["it does not exist: build it"]
    store_executed(root)
    edit(root, lambda notebook: notebook.cells.pop())
    assert check_notebook(source_of(root), stored_of(root)) == ["it has 2 cells, its source has 3"]
    stored_of(root).rename(root / "notebooks/09_lost.ipynb")
    assert main(["check", "--root", str(root)]) == 1
    assert "09_lost.ipynb: it has no source" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("saved to /home/somebody/runs/a.png", ["/home/somebody"]),
        ("File '/usr/lib/python3/x.py'", ["/usr/lib"]),
        ("saved to runs/laptop/home/a.png", []),
        ("see https://example.org/home/page", []),
        ("a ratio of 3/4, 1/2", []),
    ],
)
def test_absolute_paths_in_outputs_are_found(text: str, found: list[str], root: Path) -> None:
    store_executed(root)
    edit(root, lambda notebook: notebook.cells[1].outputs[0].update(text=text))
    problems = check_notebook(source_of(root), stored_of(root))
    assert problems == [f"cell 2 shows an absolute path: {path}" for path in found]


def test_errors_and_cells_without_execution_are_found(root: Path) -> None:
    store_executed(root)

    def change(notebook) -> None:
        notebook.cells[1].execution_count = None
        notebook.cells[2].outputs = [nbformat.v4.new_output("error", ename="KeyError", evalue="'a'", traceback=[])]

    edit(root, change)
    problems = check_notebook(source_of(root), stored_of(root))
    assert problems == ["cell 2 was not executed", "cell 3 ends in an error: KeyError: 'a'"]


def test_cleaning_keeps_of_a_widget_only_what_shows_without_a_kernel(root: Path) -> None:
    store_executed(root)
    notebook = nbformat.read(stored_of(root), as_version=4)
    notebook.metadata["widgets"] = {"state": {}}
    cell = notebook.cells[1]
    cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
    view = {"model_id": "a", "version_major": 2, "version_minor": 0}
    with_picture = {WIDGET_VIEW: view, "image/png": WHITE_PIXEL, "text/plain": "interactive(...)"}
    cell.outputs = [
        nbformat.v4.new_output("display_data", data={WIDGET_VIEW: view, "text/plain": "IntSlider(...)"}),
        nbformat.v4.new_output("display_data", data=with_picture),
        nbformat.v4.new_output("stream", name="stderr", text="  0%|   |\r 50%|#  |\r100%|###|\ndone\n"),
    ]
    nbformat.write(notebook, stored_of(root))
    problems = check_notebook(source_of(root), stored_of(root))
    assert [problem for problem in problems if "widget" in problem] == [
        "it stores the state of widgets",
        "cell 2 stores a widget, which shows nothing without a kernel",
        "cell 2 stores a widget, which shows nothing without a kernel",
    ]
    clean_notebook(notebook)
    nbformat.write(notebook, stored_of(root))
    assert check_notebook(source_of(root), stored_of(root)) == []
    picture, text = notebook.cells[1].outputs
    assert set(picture.data) == {"image/png", "text/plain"}
    assert text.text == "100%|###|\ndone\n"


def test_names_are_chosen_by_pattern_and_unknown_ones_are_refused(root: Path, tmp_path: Path) -> None:
    (root / "notebooks/source/solutions/01_tiny.py").write_text(SOURCE, encoding="utf-8")
    assert find_notebooks(root) == ["01_tiny", "solutions/01_tiny"]
    assert find_notebooks(root, ["[0-9]*"]) == ["01_tiny"]
    assert find_notebooks(root, ["solutions/*"]) == ["solutions/01_tiny"]
    with pytest.raises(NotebookError, match="'02_none'; there are: 01_tiny"):
        find_notebooks(root, ["02_none"])
    with pytest.raises(NotebookError, match="no notebook sources"):
        find_notebooks(root / "notebooks")


def test_the_command_line_needs_no_notebook_library_to_explain_itself() -> None:
    import sys

    command = [sys.executable, "-X", "importtime", "-m", "radvlm_course.notebooks", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert "build" in result.stdout
    assert "nbclient" not in result.stderr
    assert "jupytext" not in result.stderr
