"""A population of phantoms without pictures, made once."""

import pytest

from radvlm_course.phantoms import Phantom
from radvlm_course.phantoms.statistics import survey


@pytest.fixture(scope="session")
def phantoms() -> list[Phantom]:
    return survey(range(500))
