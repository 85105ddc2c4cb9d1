"""Where the open datasets come from, and under which terms: the table ``table.yaml``, validated."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import PurePosixPath

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, field_validator, model_validator

__all__ = ["Dataset", "Manual", "RemoteFile", "datasets"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RemoteFile(_Strict):
    """One file of a source.

    Attributes:
        name: as it is called here.
        size: bytes, if the source or others tell.
        md5, sha256: digests; ``digest_from`` says who recorded them if the source does not publish them itself.
        unpack: folder below the root into which the archive is unpacked; None if it is no archive.
        strip: leading folder in the archive that is left out.
        films: the archive holds films; a sample is some of the first such archive, and everything that is none.
    """

    name: str
    url: str
    size: int | None = None
    md5: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    digest_from: str = "published by the source"
    unpack: str | None = None
    strip: str = ""
    films: bool = False

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        TypeAdapter(HttpUrl).validate_python(value)
        return value

    @field_validator("name")
    @classmethod
    def _is_a_plain_name(cls, value: str) -> str:
        if PurePosixPath(value).name != value or value.startswith("."):
            raise ValueError(f"expected a plain file name, found {value!r}")
        return value

    @property
    def digests(self) -> dict[str, str]:
        """Algorithm -> digest, of those that are known."""
        return {name: value for name in ("md5", "sha256") if (value := getattr(self, name))}


class Manual(_Strict):
    """What a person has to do where a source wants an account or a click, and what must be there afterwards."""

    unpack: str
    strip: str = ""
    expects: tuple[str, ...]
    steps: str


class Dataset(_Strict):
    """One dataset: its terms, files to fetch, and steps for a person where those are not all."""

    title: str
    home: str
    licence: str
    files: tuple[RemoteFile, ...] = ()
    manual: Manual | None = None

    @model_validator(mode="after")
    def _has_a_way(self) -> Dataset:
        if not self.files and not self.manual:
            raise ValueError("expected files to fetch or steps for a person, found neither")
        return self


@functools.cache
def datasets() -> dict[str, Dataset]:
    """Name of the dataset (as in ``sources.READERS``) -> where it comes from."""
    text = resources.files(__package__).joinpath("table.yaml").read_text("utf-8")
    return TypeAdapter(dict[str, Dataset]).validate_python(yaml.safe_load(text))
