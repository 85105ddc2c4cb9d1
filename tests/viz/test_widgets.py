import json
import os

import numpy as np
import pytest
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.viz.widgets import SWITCH, BoxExplorer, RolloutBrowser, has_live_frontend

TRUTH = [Box(0.38, 0.47, 0.76, 0.62)]


def test_plain_python_has_no_live_frontend():
    assert has_live_frontend() is False


def test_moving_a_slider_moves_the_box_and_redraws(helpers):
    explorer = BoxExplorer(np.zeros((50, 100)), TRUTH, Box(0.35, 0.51, 0.75, 0.64))
    assert {"0.60", "completion: [0.35, 0.51, 0.75, 0.64]"} <= set(helpers.texts(explorer.render()))
    redrawn = []
    controls = explorer.controls(lambda: redrawn.append(explorer.box))
    sliders = [slider for column in controls.children for slider in column.children]
    assert [slider.value for slider in sliders] == [0.35, 0.51, 0.75, 0.64]
    for slider, value in zip(sliders, TRUTH[0].to_list(), strict=True):
        slider.value = value
    assert redrawn[-1] == TRUTH[0]
    assert helpers.texts(explorer.render()).count("1.00") == 4
    assert helpers.inside(explorer.render())


def test_sliders_that_make_no_box_earn_nothing(helpers):
    explorer = BoxExplorer(np.zeros((50, 50)), TRUTH)
    explorer.corners = [0.6, 0.1, 0.5, 0.2]
    assert explorer.box is None
    texts = helpers.texts(explorer.render())
    assert any("no box" in text for text in texts)
    assert texts.count("0.00") == 4


def test_stray_boxes_lower_the_score(helpers):
    explorer = BoxExplorer(np.zeros((50, 50)), TRUTH, TRUTH[0], others=[Box(0, 0, 0.1, 0.1)])
    texts = helpers.texts(explorer.render())
    assert texts.count("0.67") == 1  # soft-F1: 2 / (2 + 1)
    assert texts.count("1.00") == 2  # the IoU of the box, and the paper's mAP: a miss after the hits is free
    assert texts.count("0.50") == 1  # corrected mAP: precision 1/2, recall 1


def test_an_explorer_needs_something_to_find():
    with pytest.raises(ValueError, match="at least one ground-truth box"):
        BoxExplorer(np.zeros((5, 5)), [])


@pytest.fixture
def browser(tmp_path, helpers):
    Image.fromarray(np.zeros((40, 60), dtype=np.uint8)).save(tmp_path / "film.png")
    examples = {
        "box": Example("box", "abnormality_grounding", "film.png", "Where?", "", tuple(TRUTH)),
        "report": Example("report", "report_generation", "film.png", "Write.", "No effusion."),
    }
    rollouts = [
        *helpers.group(["[0.1, 0.1, 0.2, 0.2]", "none"], [0.1, 0.0], [0.7, -0.7], step=1, example_id="box"),
        *helpers.group(["No effusion.", "Effusion."], [1.0, 0.5], [0.7, -0.7], step=1, example_id="report"),
        *helpers.group(["[0.3, 0.3, 0.6, 0.6]", "none"], [0.4, 0.0], [0.7, -0.7], step=5, example_id="box"),
    ]
    return RolloutBrowser(rollouts, examples, tmp_path)


def test_the_browser_draws_boxes_or_words_by_task(browser, helpers):
    assert "Where?" in helpers.texts(browser.render())
    browser.group = 1
    assert {"Write.", "reference"} <= set(helpers.texts(browser.render()))
    browser.step = 5
    assert "step 5 · box · group of 2" in helpers.texts(browser.render())


def test_the_sliders_choose_step_and_group(browser):
    drawn = []
    step, group = browser.controls(lambda: drawn.append((browser.step, browser.group))).children
    assert list(step.options) == [1, 5]
    group.value = 2
    step.value = 5
    assert drawn == [(1, 1), (5, 1)]


def test_a_browser_refuses_rollouts_without_examples(helpers):
    with pytest.raises(ValueError, match="found none"):
        RolloutBrowser([], {})
    with pytest.raises(ValueError, match="for 1 prompts"):
        RolloutBrowser(helpers.group(["x"], [0.0], [0.0]), {})


CELLS = [
    "import numpy as np\n"
    "from radvlm_course.boxes import Box\n"
    "from radvlm_course.viz import BoxExplorer, draw_pipeline\n"
    "explorer = BoxExplorer(np.zeros((50, 50)), [Box(0.2, 0.2, 0.6, 0.6)])",
    "explorer",
    "draw_pipeline('sft')",
    "import matplotlib.pyplot as plt\ndraw_pipeline('sft')",
    "made = []\n"
    "original = explorer.controls\n"
    "explorer.controls = lambda redraw: made.append(original(redraw)) or made[-1]\n"
    "explorer",
    "made[0].children[0].children[0].value = 0.5 if made else None",
]


def executed(switch: str, cells: list[str]) -> list[list[dict]]:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = switch
    try:
        nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    finally:
        os.environ.pop(SWITCH)
        if before is not None:
            os.environ[SWITCH] = before
    return [cell["outputs"] for cell in notebook.cells]


def kinds(outputs):
    return [sorted(key for key in output["data"] if key != "text/plain") for output in outputs]


def test_an_executed_notebook_holds_each_figure_once_as_a_picture():
    outputs = executed("0", CELLS[:4])
    assert [kinds(output) for output in outputs] == [[], [["image/png"]], [["image/png"]], [["image/png"]]]
    json.dumps(outputs)


def test_a_live_frontend_gets_controls_below_and_the_picture_changes_in_place():
    still = executed("1", CELLS[:5])[4]
    assert kinds(still) == [["image/png"], ["application/vnd.jupyter.widget-view+json"]]
    moved = executed("1", CELLS)[4]
    assert kinds(moved) == kinds(still)
    assert moved[0]["data"]["image/png"] != still[0]["data"]["image/png"]
