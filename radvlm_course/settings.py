"""Settings from YAML into frozen dataclasses, strictly: the machinery behind profiles.

A misspelled key, a key given twice, a number written as ``1e-4`` that YAML 1.1 takes for a string, a
learning rate of NaN: each would otherwise surface late or never. No torch here.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

__all__ = ["ProfileError", "build_settings", "close_matches", "limits", "load_yaml", "parse_yaml", "plain_values"]

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class ProfileError(ValueError):
    """Settings that cannot be used, naming the file, the key and what would be right."""


def limits(
    minimum: float | None = None,
    choices: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    maximum: float | None = None,
    silent_default: bool = False,
) -> dict[str, Any]:
    """Metadata for a dataclass field.

    Args:
        minimum, maximum: of a number, both allowed.
        choices: the values that are allowed. keys: of a mapping, the keys that are allowed.
        silent_default: :func:`plain_values` does not write the field while it holds its default, so that settings
            written before the field existed are still equal.
    """
    return {
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "keys": keys,
        "silent_default": silent_default,
    }


class _Loader(yaml.SafeLoader):
    """YAML as people write it: ``1e-4`` is a number (not a string), a key given twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                line = node.value[index][0].start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: the key {key!r} is given twice")
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str) -> Any:
    """Any YAML value. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read one mapping from a YAML file; keys given twice are refused, ``1e-4`` is a number.

    Raises:
        ProfileError: not readable, not YAML, or not a mapping.
    """
    try:
        values = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProfileError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise ProfileError(f"{path}: expected keys with values, found {type(values).__name__}")
    return values


def build_settings(cls: type[T], values: Any, source: str, where: str = "") -> T:
    """Build the dataclass ``cls`` from a mapping.

    Args:
        cls: its fields may be bool, int, float, str, a list or mapping of these, another such dataclass, any of
            these or None, or any of these or a list or mapping; :func:`limits` makes their metadata.
        source: what the values were read from, for messages.
        where: dotted name of this section, for messages.

    Raises:
        ProfileError: an unknown or missing key, a wrong type, a value out of range.
    """
    if not isinstance(values, Mapping):
        raise ProfileError(f"{source}: {where} must be a section with keys, found {values!r}")
    prefix = f"{where}." if where else ""
    hints = typing.get_type_hints(cls)
    entries = {entry.name: entry for entry in dataclasses.fields(cls)}
    for key in values:
        if key not in entries:
            raise ProfileError(
                f"{source}: unknown key {prefix}{key}{close_matches(str(key), entries)}. "
                f"Known keys{' of ' + where if where else ''}: {', '.join(entries)}"
            )
    arguments = {}
    for key, entry in entries.items():
        if key in values:
            arguments[key] = _value(hints[key], values[key], entry.metadata, prefix + key, source)
        elif entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
            raise ProfileError(f"{source}: the key {prefix}{key} is missing")
    return cls(**arguments)


def _value(hint: Any, value: Any, allowed: Mapping[str, Any], where: str, source: str) -> Any:
    if typing.get_origin(hint) is types.UnionType:
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if value is None and len(options) < len(typing.get_args(hint)):
            return None
        hint = _chosen(options, value)
    if dataclasses.is_dataclass(hint):
        return build_settings(typing.cast(type[Any], hint), value, source, where)
    if typing.get_origin(hint) is dict:
        return _mapping(typing.get_args(hint)[1], value, allowed, where, source)
    if typing.get_origin(hint) is list:
        if not isinstance(value, list):
            raise ProfileError(f"{source}: {where} must be a list, found {value!r}")
        return [
            _value(typing.get_args(hint)[0], inner, allowed, f"{where}[{n}]", source) for n, inner in enumerate(value)
        ]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ProfileError(f"{source}: {where} must be of type {hint.__name__}, found {value!r}")
    minimum, maximum, choices = allowed.get("minimum"), allowed.get("maximum"), allowed.get("choices")
    if choices and value not in choices:
        raise ProfileError(f"{source}: {where} must be one of {', '.join(choices)}; found {value!r}")
    if minimum is not None and not (
        minimum <= value <= (value if maximum is None else maximum) and math.isfinite(value)
    ):
        expected = f"a number not below {minimum}" if maximum is None else f"a number from {minimum} to {maximum}"
        raise ProfileError(f"{source}: {where} must be {expected}, found {value!r}")
    return value


def _chosen(options: list[Any], value: Any) -> Any:
    """Which of several types a value is meant to have: a mapping or a list its own, all else the first plain one."""
    for kind, origin in ((Mapping, dict), (list, list)):
        fitting = [option for option in options if typing.get_origin(option) is origin]
        if fitting and isinstance(value, kind):
            return fitting[0]
    plain = [option for option in options if typing.get_origin(option) is None]
    return (plain or options)[0]


def _mapping(hint: Any, value: Any, allowed: Mapping[str, Any], where: str, source: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ProfileError(f"{source}: {where} must be a section with keys, found {value!r}")
    for key in value:
        if allowed.get("keys") and key not in allowed["keys"]:
            raise ProfileError(f"{source}: unknown key {where}.{key}. Known keys: {', '.join(allowed['keys'])}")
    if hint is Any:
        return copy.deepcopy(dict(value))
    return {key: _value(hint, inner, allowed, f"{where}.{key}", source) for key, inner in value.items()}


def plain_values(settings: DataclassInstance) -> dict[str, Any]:
    """Settings as mappings, lists, numbers and strings, ready for YAML; a copy.

    As ``dataclasses.asdict``, but without the fields of ``limits(silent_default=True)`` that hold their default.
    """
    values: dict[str, Any] = {}
    for entry in dataclasses.fields(settings):
        value = getattr(settings, entry.name)
        default = entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()
        if not (entry.metadata.get("silent_default") and value == default):
            nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
            values[entry.name] = plain_values(value) if nested else copy.deepcopy(value)
    return values


def close_matches(key: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` or nothing, to end a message about an unknown name."""
    matches = difflib.get_close_matches(key, list(known), n=3)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""
