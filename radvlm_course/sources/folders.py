"""Several datasets in one folder: a sub-folder each, named as the readers are.

::

    data/mimic_cxr/            MIMIC-CXR-JPG with the reports
    data/chest_imagenome/      no image: it looks for those of data/mimic_cxr
    data/nih_chestxray14/
    ...

Each sub-folder holds the dataset as delivered; the reader's docstring lists the files.
"""

from __future__ import annotations

import os
from pathlib import Path

from radvlm_course.sources import READERS, Source, SourceError

__all__ = ["find_sources"]

_MIMIC = "mimic_cxr"


def find_sources(folder: str | os.PathLike[str]) -> dict[str, Source]:
    """Dataset -> its source, for every sub-folder that has a reader's name, in the order of :data:`READERS`.

    Datasets that annotate films of MIMIC-CXR without delivering them look for them in ``mimic_cxr`` beside them.

    Raises:
        SourceError: there is no such folder, or no sub-folder has a reader's name.
    """
    root = Path(folder)
    if not root.is_dir():
        raise SourceError(f"expected a folder with a sub-folder for each dataset at {root}, found none")
    found: dict[str, Source] = {}
    for name in READERS:
        if (root / name).is_dir():
            source = Source(name, root / name)
            if source.has_option("mimic_root") and (root / _MIMIC).is_dir():
                source = Source(name, root / name, mimic_root=root / _MIMIC)
            found[name] = source
    if not found:
        names = sorted(path.name for path in root.iterdir() if path.is_dir())
        raise SourceError(
            f"{root}: expected at least one sub-folder named like a dataset ({', '.join(READERS)}), "
            f"found {', '.join(names) or 'no sub-folder'}"
        )
    return found
