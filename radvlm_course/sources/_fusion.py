"""Several readers' boxes of one finding become one set of boxes: weighted boxes fusion.

Source: R. Solovyev, W. Wang, T. Gabruseva, "Weighted boxes fusion: Ensembling boxes from different object detection
models", Image and Vision Computing 2021; the library ``ensemble-boxes`` is theirs. RadVLM (arXiv 2502.03333) fuses
the boxes of VinDr-CXR at a threshold of 0.1 and asks for no agreement: a box that a single reader drew is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from radvlm_course.boxes import Box

__all__ = ["PAPER_THRESHOLD", "fuse_boxes"]

PAPER_THRESHOLD = 0.1
# Scores only order the boxes here. All equal, their order would be that of an unstable sort, which differs between
# machines; so each differs by a hair, and the last comes first, as in a stable sort of equal scores.
_HAIR = 1e-9


def fuse_boxes(boxes: Sequence[tuple[str, Box]], threshold: float = PAPER_THRESHOLD) -> tuple[tuple[Box, int], ...]:
    """(fused box, how many different readers drew a part of it), from left to right.

    Args:
        boxes: (reader, box) of one finding on one film, in the order of the table.
        threshold: a box joins a fused box if their intersection over union exceeds this, 0 to 1.
    """
    try:
        from ensemble_boxes import weighted_boxes_fusion
    except ImportError as error:
        raise ImportError(
            'fusing readers\' boxes needs ensemble-boxes: install the extra "data" of this package'
        ) from error
    readers = sorted({reader for reader, _ in boxes})
    if not readers:
        return ()
    scored = [(reader, box.to_list(), 1 - _HAIR * (len(boxes) - at)) for at, (reader, box) in enumerate(boxes)]
    groups = [[(corners, score) for name, corners, score in scored if name == reader] for reader in readers]
    fused, agreement, _ = weighted_boxes_fusion(
        [[corners for corners, _ in group] for group in groups],
        [[score for _, score in group] for group in groups],
        [[0] * len(group) for group in groups],
        iou_thr=threshold,
        conf_type="box_and_model_avg",  # with scores of 1: the share of the readers that have a box in it
    )
    counts = [round(share * len(readers)) for share in agreement.tolist()]
    return tuple(sorted((Box.clipped(*corners), count) for corners, count in zip(fused.tolist(), counts, strict=True)))
