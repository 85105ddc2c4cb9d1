"""A language model endpoint over loopback, as for the language tests, and report examples with predictions on disk."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.records import Example, write_jsonl


def _language_tests() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "language_conftest", Path(__file__).parents[1] / "language" / "conftest.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def language() -> ModuleType:
    """The server of the language tests: ``Model(behave)`` and ``Reply``."""
    return _language_tests()


@pytest.fixture
def endpoint(language: ModuleType):
    """Start a server: ``endpoint(behave)``, ``behave(study, number)`` gives a text or a Reply."""
    started = []

    def start(behave: Callable[[str, int], object]) -> object:
        def reply(study: str, number: int) -> object:
            found = behave(study, number)
            return language.Reply(text=found) if isinstance(found, str) else found

        started.append(language.Model(reply))
        return started[-1]

    yield start
    for model in started:
        model.stop()


@pytest.fixture
def written(tmp_path: Path):
    """Write examples and one model's responses; gives the two paths."""

    def write(examples: list[Example], responses: list[str], model: str = "m") -> tuple[Path, Path]:
        write_jsonl(examples, tmp_path / "examples.jsonl")
        path = tmp_path / f"{model}.jsonl"
        pairs = zip(examples, responses, strict=True)
        path.write_bytes(b"".join(Prediction(e.id, text, text, model, {}, "stop").to_line() for e, text in pairs))
        return tmp_path / "examples.jsonl", path

    return write
