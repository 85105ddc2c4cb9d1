"""Convert a folder of DICOM films to 8-bit pictures for training, with a table of the original sizes.

    python data_scripts/dicom_to_image.py /data/vindr/train /data/vindr/train_png --longest-side 1024 --workers 8

The readers of VinDr-CXR and RSNA find the pictures beside the DICOM folder, in ``<folder>_png`` or ``<folder>_jpg``.
Run the same command again to go on after an interruption, and to try the failed files again; what failed, and why,
stands at the end. Needs the extra "data" of this package. Exit status 1 if a file failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from radvlm_course.dicom_conversion import FORMATS, ConversionError, convert_folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of DICOM files, with any folders below it")
    parser.add_argument("output", type=Path, help="folder for the pictures and image_sizes.csv")
    parser.add_argument(
        "--format", choices=sorted(FORMATS), default="png", help="jpeg takes about a fifth of the space"
    )
    parser.add_argument("--longest-side", type=int, help="reduce larger films to this many pixels (default: keep)")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    try:
        report = convert_folder(
            options.root,
            options.output,
            format=options.format,
            longest_side=options.longest_side,
            workers=options.workers,
            progress=not options.quiet,
        )
    except ConversionError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.summary())
    return 1 if report.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
