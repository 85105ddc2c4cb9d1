"""CheXbert on many reports at once: fourteen observations and an embedding of each.

CheXbert (Smit et al. 2020, arXiv 2004.09167) is a BERT that reads a report and gives each of fourteen observations a
class: blank, positive, negative or uncertain ("No Finding" has the first two only). Its ``[CLS]`` vector is what
RadCliQ compares reports with (Yu et al. 2023). Weights and model class are those of ``f1chexbert``, which labels one
report at a time; labels and vectors here are the same, from batches.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radvlm_course.rewards import weights
from radvlm_course.rewards.base import RewardError
from radvlm_course.rewards.compat import f1chexbert as f1chexbert_compat
from radvlm_course.rewards.scorers.batching import (
    batches_by_length,
    choose_device,
    encoded,
    max_tokens_for,
    set_precision,
)
from radvlm_course.rewards.scorers.features import TextScorer, fingerprint

__all__ = [
    "FIVE",
    "MAPPINGS",
    "OBSERVATIONS",
    "CheXbertLabels",
    "CheXbertScorer",
    "cosine",
    "f1_table",
    "mapped",
]

TOKENIZER = "bert-base-uncased"
OBSERVATIONS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
CLASSES = ("blank", "positive", "negative", "uncertain")
MAPPINGS: Mapping[str, tuple[int, int, int, int]] = {
    "uncertain_positive": (0, 1, 0, 1),
    "uncertain_negative": (0, 1, 0, 0),
}
"""What each of :data:`CLASSES` counts as: 1 present, 0 not. The paper's is ``uncertain_positive``."""


@dataclass(frozen=True)
class CheXbertLabels:
    """What CheXbert says of one report.

    Attributes:
        classes: an index into :data:`CLASSES` for each of :data:`OBSERVATIONS`, shape (14,).
        embedding: the ``[CLS]`` vector, float32, shape (hidden,).
    """

    classes: np.ndarray
    embedding: np.ndarray


class CheXbertScorer(TextScorer[CheXbertLabels]):
    """Labels and embeddings of reports.

    Args:
        device: a torch device; None takes the first GPU, else the CPU.
        dtype: precision of the encoder. ``bfloat16`` changes labels whose scores are close; see docs/rewards.md.
        model: a loaded ``f1chexbert.f1chexbert.bert_labeler`` to use instead of loading one.
        cache_bytes, cache_path: bounds and file of the cache of references.

    Raises:
        RewardError: the package or the weights are missing, or the checkpoint lacks parts of the model.
    """

    def __init__(
        self,
        device: str | None = None,
        dtype: str = "float32",
        model: Any = None,
        cache_bytes: int = 2**26,
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        from transformers import BertTokenizer

        self._device, self._dtype = choose_device(device), dtype
        weights.require_encoder(TOKENIZER, "chexbert")
        with weights.from_disk():
            self._model = (_load_labeler() if model is None else model).to(self._device).eval()
            self._tokenizer = BertTokenizer.from_pretrained(TOKENIZER)
        set_precision(self._model.bert, dtype)
        super().__init__(cache_bytes, cache_path, remember_last_call=True)

    def compute(self, texts: list[str]) -> list[CheXbertLabels]:
        """Labels and embeddings of distinct texts; read up to 512 tokens, white space taken together."""
        import torch

        plain = [" ".join(text.split()) for text in texts]
        rows = self._tokenizer(plain, truncation=True, max_length=f1chexbert_compat.MAX_TOKENS)["input_ids"]
        results: list[Any] = [None] * len(texts)
        with torch.inference_mode():
            for batch in batches_by_length([len(row) for row in rows], max_tokens_for(self._device)):
                chosen = [rows[index] for index in batch]
                first = encoded(self._model.bert, chosen, self._tokenizer.pad_token_id, self._device)[:, 0]
                classes = torch.stack([head(first).argmax(dim=1) for head in self._model.linear_heads], dim=1)
                both = zip(classes.cpu().numpy().astype(np.int8), first.cpu().numpy(), strict=True)
                for index, (labels, embedding) in zip(batch, both, strict=True):
                    results[index] = CheXbertLabels(labels, embedding.copy())
        return results

    def size(self, features: CheXbertLabels) -> int:
        return 300 + features.embedding.nbytes

    def identity(self) -> str:
        return f"chexbert {fingerprint(self._model, self._dtype)}"

    def to_bytes(self, features: CheXbertLabels) -> bytes:
        return features.classes.astype(np.int8).tobytes() + features.embedding.astype("<f4").tobytes()

    def from_bytes(self, data: bytes) -> CheXbertLabels:
        count = len(OBSERVATIONS)
        return CheXbertLabels(np.frombuffer(data, np.int8, count), np.frombuffer(data, "<f4", offset=count))


def _load_labeler() -> Any:
    """The package's model with the checkpoint's weights, each of them."""
    import torch

    package = f1chexbert_compat.load()
    checkpoint = weights.require(weights.chexbert_checkpoint(), "chexbert")
    model = package.bert_labeler(inference=True)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model_state_dict"]
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    lacking = model.load_state_dict(state, strict=False).missing_keys
    if lacking:
        raise RewardError(f"{checkpoint} lacks weights of CheXbert, for example {lacking[0]}: fetch it again")
    return model


def mapped(
    classes: np.ndarray, mapping: str = "uncertain_positive", observations: Sequence[str] = OBSERVATIONS
) -> np.ndarray:
    """Classes as 0 and 1.

    Args:
        classes: shape (..., 14), indices into :data:`CLASSES`.
        mapping: a key of :data:`MAPPINGS`.
        observations: the columns to keep.

    Raises:
        ValueError: there is no such mapping.
    """
    if mapping not in MAPPINGS:
        raise ValueError(f"expected a label mapping of {', '.join(MAPPINGS)}; found {mapping!r}")
    return np.array(MAPPINGS[mapping])[classes][..., [OBSERVATIONS.index(name) for name in observations]]


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of two vectors, -1 to 1; 0 if one of them is zero."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    norms = float(np.sqrt(first @ first) * np.sqrt(second @ second))
    return min(1.0, max(-1.0, float(first @ second) / norms)) if norms else 0.0


def f1_table(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Micro and macro F1 over the fourteen observations and over the five.

    Micro F1 pools the counts of all observations; macro F1 is the mean of each observation's F1, where one that
    neither side has counts 0, as in scikit-learn's report and the paper's tables.

    Args:
        predicted, true: 0 and 1, shape (reports, 14).

    Returns:
        ``chexbert_all_micro``, ``chexbert_all_macro``, ``chexbert_5_micro``, ``chexbert_5_macro``: 0 to 1, higher is
        better.
    """
    table = {}
    for name, observations in (("all", OBSERVATIONS), ("5", FIVE)):
        columns = [OBSERVATIONS.index(observation) for observation in observations]
        hits = (predicted[:, columns] * true[:, columns]).sum(axis=0)
        marked = predicted[:, columns].sum(axis=0) + true[:, columns].sum(axis=0)
        table[f"chexbert_{name}_micro"] = float(2 * hits.sum() / max(marked.sum(), 1))
        table[f"chexbert_{name}_macro"] = float(np.mean(2 * hits / np.maximum(marked, 1)))
    return table


def label_matrix(
    labels: Mapping[str, CheXbertLabels], texts: Collection[str], mapping: str = "uncertain_positive"
) -> np.ndarray:
    """The labels of texts as 0 and 1, shape (texts, 14), for :func:`f1_table`."""
    return mapped(np.stack([labels[text].classes for text in texts]), mapping)
