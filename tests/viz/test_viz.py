import subprocess
import sys

import pytest

from radvlm_course import viz


def test_every_public_name_can_be_loaded():
    for name in viz.__all__:
        assert callable(getattr(viz, name))
    assert dir(viz) == sorted(viz.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'show'"):
        _ = viz.show


def test_pictures_need_neither_torch_nor_pyplot():
    code = (
        "import sys, numpy as np\n"
        "from radvlm_course import viz\n"
        "for name in viz.__all__: getattr(viz, name)\n"
        "viz.show_boxes(np.zeros((8, 8)))._repr_png_()\n"
        "print([name for name in ('torch', 'matplotlib.pyplot', 'ipywidgets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
