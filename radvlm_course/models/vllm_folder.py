"""A model folder as vLLM can load it, with the pixel limit and the precision of the training that it writes for.

vLLM reads everything about films from the folder, and the folders of this course hold no processor of videos, which
vLLM builds all the same. TRL hands on no other settings. So what a folder lacks or says otherwise is said in a mirror
of it: links to its files, and copies of the few settings that differ.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor

__all__ = ["has_video_settings", "mirror_for_vllm", "mirrored_for_vllm"]

VIDEO_SETTINGS = "video_preprocessor_config.json"
_IMAGES_ALONE, _WHOLE, _CONFIG = "preprocessor_config.json", "processor_config.json", "config.json"


@contextlib.contextmanager
def mirrored_for_vllm(
    folder: Path, processor: ImageOnlyQwen3VLProcessor, precision: str | None = None
) -> Iterator[Path]:
    """A temporary mirror of a model folder (:func:`mirror_for_vllm`), gone at the end."""
    with tempfile.TemporaryDirectory(prefix="radvlm_course_vllm_") as name:
        mirror_for_vllm(folder, Path(name), processor, precision)
        yield Path(name)


def mirror_for_vllm(
    folder: Path, mirror: Path, processor: ImageOnlyQwen3VLProcessor, precision: str | None = None
) -> None:
    """Fill an empty folder with links to a model's files, and with settings for vLLM.

    Args:
        processor: the one that training uses; its limits on a film's pixels go into the mirror.
        precision: in which vLLM holds the weights (``bfloat16``); None: as the folder says. Weights in 32 bits would be
            held in 16 bits of vLLM's own choice.
    """
    size = dict(processor.image_processor.size)
    for path in folder.iterdir():
        if path.name in (_IMAGES_ALONE, _WHOLE, _CONFIG):
            values = _changed(json.loads(path.read_text(encoding="utf-8")), path.name, size, precision)
            (mirror / path.name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        else:
            (mirror / path.name).symlink_to(path.resolve())
    if not has_video_settings(folder):
        images = processor.image_processor
        names = ("patch_size", "merge_size", "temporal_patch_size", "image_mean", "image_std")
        settings = {name: getattr(images, name) for name in names}
        settings |= {"size": size, "video_processor_type": "Qwen3VLVideoProcessor"}
        (mirror / VIDEO_SETTINGS).write_text(json.dumps(settings), encoding="utf-8")


def has_video_settings(folder: Path) -> bool:
    """Whether a model folder says how videos are read, which an image-only one does not."""
    whole = folder / _WHOLE
    if whole.exists() and "video_processor" in json.loads(whole.read_text(encoding="utf-8")):
        return True
    return (folder / VIDEO_SETTINGS).exists()


def _changed(values: dict[str, Any], name: str, size: dict[str, int], precision: str | None) -> dict[str, Any]:
    """The settings of a file with the pixel limit or the precision in place."""
    if name == _CONFIG:
        return values if precision is None else {**values, "dtype": precision}
    if name == _IMAGES_ALONE:
        return {**values, "size": size}
    return {**values, "image_processor": {**values.get("image_processor", {}), "size": size}}
