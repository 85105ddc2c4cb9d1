"""The misbehaving server of the language tests, for the commands that ask one."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "language_conftest", Path(__file__).parents[1] / "language" / "conftest.py"
)
assert _spec is not None and _spec.loader is not None
_language = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_language)
start_model, reply, script = _language.start_model, _language.reply, _language.script
