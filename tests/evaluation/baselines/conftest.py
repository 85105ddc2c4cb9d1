"""Examples of each task on a small film that is not square."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radvlm_course.records import Example

ONE_TARGET = ("anatomical_grounding", "abnormality_grounding", "phrase_grounding")


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """A film of 200 x 100 pixels."""
    path = tmp_path_factory.mktemp("film") / "film.png"
    Image.fromarray((np.arange(200 * 100) % 251).astype(np.uint8).reshape(100, 200)).save(path)
    return str(path)


@pytest.fixture(scope="session")
def ask(film):
    """Builds an example of a task on that film."""

    def example(task, label="pleural effusion", identifier="e0", question="Where is the pleural effusion?"):
        return Example(identifier, task, film, question, "", labels=(label,) if task in ONE_TARGET else ())

    return example


@pytest.fixture(scope="session")
def tiny():
    """The module that builds small random models in the layouts of the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        import tiny_baselines

    return tiny_baselines


@pytest.fixture(scope="session")
def gemma_folder(tiny, tmp_path_factory):
    return tiny.gemma(tmp_path_factory.mktemp("gemma"))


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """No network, an empty cache of the hub, and a folder of its own for code of repositories."""
    import transformers.dynamic_module_utils
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    return tmp_path / "hub"
