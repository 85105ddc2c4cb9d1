"""Files below a folder, or in the zip archive in which a dataset delivers them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from radvlm_course.sources._report import SourceError

__all__ = ["FolderOrZip"]


class FolderOrZip:
    """Reads files by name from ``root/top/``, or from a zip archive in ``root`` that holds ``top/``.

    Hundreds of thousands of small files need not be unpacked: a zip archive is opened once and read in place.

    Args:
        root: the folder that holds ``top/`` or the archive.
        top: the first folder of every name, such as ``scene_graph``.
        archives: names of the archive, looked for if there is no folder ``top`` with a file that fits ``sample``.
        sample: a glob pattern below ``top`` that some file must fit.

    Raises:
        SourceError: there is neither, or the archive is damaged; says where to get it.
    """

    def __init__(self, root: Path, top: str, archives: Sequence[str], sample: str, where_to_get: str) -> None:
        self._root, self._zip, self._prefix = root, None, ""
        if (root / top).is_dir() and next((root / top).glob(sample), None) is not None:
            return
        path = next((root / name for name in archives if (root / name).is_file()), None)
        if path is None:
            raise SourceError(
                f"expected files {root / top}/{sample} or the archive {' or '.join(archives)} in {root}, "
                f"found neither; {where_to_get}"
            )
        self._zip, self._prefix = _open_zip(path, top, where_to_get)

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
