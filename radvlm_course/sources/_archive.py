"""Files below a folder, or in the zip archive in which a dataset delivers them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from radvlm_course.sources._report import SourceError

__all__ = ["FolderOrZip"]


class FolderOrZip:
    """Reads files by name from a zip archive in ``root`` that holds ``top/``, or from ``root/top/``.

    Hundreds of thousands of small files need not be unpacked: a zip archive is opened once and read in place.
    It is looked for first, since to look for one file among as many folders may take minutes.

    Args:
        root: the folder that holds ``top/`` or the archive.
        top: the first folder of every name, such as ``scene_graph``.
        archive: name of the archive.
        sample: a glob pattern below ``root/top`` that some file must fit if there is no archive.

    Raises:
        SourceError: there is neither, or the archive is damaged; says where to get it.
    """

    def __init__(self, root: Path, top: str, archive: str, sample: str, where_to_get: str) -> None:
        self._root, self._zip, self._prefix = root, None, ""
        if (root / archive).is_file():
            self._zip, self._prefix = _open_zip(root / archive, top, where_to_get)
        elif not (root / top).is_dir() or next((root / top).glob(sample), None) is None:
            raise SourceError(
                f"expected the archive {archive} or files {top}/{sample} in {root}, found neither; {where_to_get}"
            )

    def read(self, name: str) -> bytes | None:
        """The content of ``name`` (which starts with ``top/``); ``None`` if there is no such file.

        Raises:
            OSError: the file is there and cannot be read.
        """
        try:
            if self._zip is None:
                return (self._root / name).read_bytes()
            return self._zip.read(self._prefix + name)
        except (FileNotFoundError, NotADirectoryError, KeyError):
            return None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise OSError(f"{name}: {error}") from error


def _open_zip(path: Path, top: str, where_to_get: str) -> tuple[zipfile.ZipFile, str]:
    """The archive, and what stands before ``top/`` in its names."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: expected a zip archive, found a damaged one ({error}); {where_to_get}") from error
    for name in archive.namelist():
        before, found, _ = f"/{name}".partition(f"/{top}/")
        if found:
            return archive, f"{before}/".removeprefix("/")
    archive.close()
    raise SourceError(f"{path}: expected files in {top}/, found none; {where_to_get}")
