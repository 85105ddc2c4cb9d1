"""Random weights in the file layouts that radgraph, f1chexbert and bert-score load, for tests and benchmarks.

:func:`build` writes one folder with everything that the model-based rewards need: a RadGraph model, a CheXbert
checkpoint and a cache of ``huggingface_hub`` with ``bert-base-uncased``, ``distilbert-base-uncased`` and
``distilroberta-base``. :data:`TINY` takes seconds and under two megabytes; :data:`BERT_BASE` has the sizes of the
real models, so that the time they take can be measured without them.

Their scores mean nothing. The last biases are set from sample sentences, so that labels differ between texts;
otherwise every equality test would compare the same with the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radvlm_course.rewards import weights

__all__ = ["BERT_BASE", "TINY", "Sizes", "build", "environment", "used"]

_TEXT = """no acute cardiopulmonary process abnormality pleural effusion pneumothorax lung lungs are is clear the a
heart size normal mild moderate severe pulmonary edema cardiomegaly bibasilar atelectasis opacity
consolidation right left lower upper lobe there evidence of pneumonia tube terminates above carina cm in
unchanged stable small large and with without new focal silhouette mediastinal fracture none findings
impression mildly enlarged device support"""
WORDS = _TEXT.split()
SAMPLE = (
    "no acute cardiopulmonary process .",
    "mild cardiomegaly with small right pleural effusion and bibasilar atelectasis . no pneumothorax .",
    "the heart size is normal . there is no focal consolidation in the left lower lobe . tube above the carina .",
    "severe pulmonary edema , unchanged . new opacity in the right upper lobe , pneumonia without effusion .",
)
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_PUNCTUATION = ".,;:-/()%'\"!?"


@dataclass(frozen=True)
class Sizes:
    """Dimensions of the encoders and of RadGraph's heads.

    Attributes:
        hidden, heads, intermediate: of every encoder.
        layers: of the BERT encoders (RadGraph's and CheXbert's).
        distilled_layers: of DistilBERT and DistilRoBERTa; BERTScore reads the fifth.
        vocabulary: of the encoders, at least; padded with unused entries.
        spread: factor on the encoders' random matrices, so that small ones tell texts apart.
        span_width, feedforward, feedforward_layers, feature: of RadGraph's heads.
    """

    hidden: int = 16
    heads: int = 2
    intermediate: int = 32
    layers: int = 1
    distilled_layers: int = 6
    vocabulary: int = 0
    spread: float = 4.0
    span_width: int = 4
    feedforward: int = 8
    feedforward_layers: int = 2
    feature: int = 4


TINY = Sizes()
BERT_BASE = Sizes(
    hidden=768,
    heads=12,
    intermediate=3072,
    layers=12,
    vocabulary=30_522,
    spread=1.0,
    span_width=8,
    feedforward=150,
    feature=20,
)


def build(
    root: str | os.PathLike[str],
    sizes: Sizes = TINY,
    seed: int = 0,
    words: Sequence[str] = (),
    radgraph_models: Sequence[str] = ("radgraph-xl",),
) -> Path:
    """Write the weights below ``root``, an empty or new folder. Returns it.

    Args:
        words: added to the vocabulary of whole words, for texts whose words should not fall into pieces.
        radgraph_models: the RadGraph models to write.
    """
    import torch

    from radvlm_course.rewards.random_radgraph import write_radgraph

    root = Path(root)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bert = _hub_folder(root, "bert-base-uncased")
        _write_wordpieces(bert, sizes, words)
        _save(_bert(sizes, bert), bert, sizes)
        distilbert = _hub_folder(root, "distilbert-base-uncased")
        _write_wordpieces(distilbert, sizes, words)
        _save(_distilbert(sizes, distilbert), distilbert, sizes)
        distilroberta = _hub_folder(root, "distilroberta-base")
        _save(_distilroberta(sizes, distilroberta, words), distilroberta, sizes)
        with used(root):
            _write_chexbert(sizes, bert, weights.chexbert_checkpoint())
            for model in radgraph_models:
                write_radgraph(sizes, bert, weights.radgraph_folder(model), model)
    mark = Path(environment(root)[weights.FOLDER_VARIABLE]) / weights.RANDOM_MARK
    mark.write_text("Written by radvlm_course.rewards.random_weights: scores of these weights mean nothing.\n")
    return root


def environment(root: str | os.PathLike[str]) -> dict[str, str]:
    """The variables under which another process finds the weights of :func:`build` and asks no server."""
    root = Path(root).resolve()
    return {
        weights.FOLDER_VARIABLE: str(root / "cache"),
        "HF_HUB_CACHE": str(root / "hub"),
        "HF_HUB_OFFLINE": "1",
    }


@contextmanager
def used(root: str | os.PathLike[str]) -> Iterator[None]:
    """Make this process find the weights of :func:`build`, and ask no server, within a ``with`` block."""
    from unittest.mock import patch

    from huggingface_hub import constants

    chosen = environment(root)
    with (
        patch.dict(os.environ, chosen),
        patch.object(constants, "HF_HUB_CACHE", chosen["HF_HUB_CACHE"]),
        patch.object(constants, "HF_HUB_OFFLINE", True),
    ):
        yield


def _hub_folder(root: Path, repository: str) -> Path:
    """The snapshot folder of a repository in a cache of huggingface_hub."""
    base, revision = root / "hub" / f"models--{repository}", "0" * 40
    (base / "refs").mkdir(parents=True, exist_ok=True)
    (base / "refs" / "main").write_text(revision)
    folder = base / "snapshots" / revision
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_wordpieces(folder: Path, sizes: Sizes, words: Sequence[str]) -> None:
    from tokenizers import BertWordPieceTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *words, *_CHARACTERS, *_PUNCTUATION]
    pieces = list(dict.fromkeys([*pieces, *(f"##{character}" for character in _CHARACTERS)]))
    pieces += [f"[unused{index}]" for index in range(sizes.vocabulary - len(pieces))]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    tokenizer = BertWordPieceTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, lowercase=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"do_lower_case": True, "tokenizer_class": "BertTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _vocabulary_size(folder: Path) -> int:
    return len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())


def _bert(sizes: Sizes, folder: Path) -> Any:
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(
            vocab_size=_vocabulary_size(folder),
            hidden_size=sizes.hidden,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.intermediate,
        )
    )


def _distilbert(sizes: Sizes, folder: Path) -> Any:
    from transformers import DistilBertConfig, DistilBertModel

    return DistilBertModel(
        DistilBertConfig(
            vocab_size=_vocabulary_size(folder),
            dim=sizes.hidden,
            n_layers=sizes.distilled_layers,
            n_heads=sizes.heads,
            hidden_dim=sizes.intermediate,
        )
    )


def _distilroberta(sizes: Sizes, folder: Path, words: Sequence[str]) -> Any:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaModel

    tokenizer = ByteLevelBPETokenizer()
    text = " ".join(["", *WORDS, *words])
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator([text], 600 + 4 * len(words), 1, show_progress=False, special_tokens=special)
    tokenizer.save_model(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return RobertaModel(
        RobertaConfig(
            vocab_size=max(tokenizer.get_vocab_size(), sizes.vocabulary),
            hidden_size=sizes.hidden,
            num_hidden_layers=sizes.distilled_layers,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.intermediate,
            max_position_embeddings=514,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    )


def _save(model: Any, folder: Path, sizes: Sizes) -> None:
    spread(model, sizes.spread)
    model.save_pretrained(folder)


def spread(model: Any, factor: float) -> None:
    """Multiply the matrices of a torch module."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(factor)


def _write_chexbert(sizes: Sizes, bert: Path, checkpoint: Path) -> None:
    """``chexbert.pth``: keys as DataParallel wrote them, 13 heads of 4 classes and one of 2."""
    import torch
    from torch import nn
    from transformers import BertTokenizer

    labeller: Any = nn.Module()
    labeller.bert = _bert(sizes, bert).eval()
    outputs = [4] * 13 + [2]
    labeller.linear_heads = nn.ModuleList([nn.Linear(sizes.hidden, count) for count in outputs])
    spread(labeller, 4 * sizes.spread)
    tokenizer = BertTokenizer.from_pretrained(bert)
    with torch.no_grad():
        first = torch.cat([labeller.bert(**tokenizer(text, return_tensors="pt"))[0][:, 0] for text in SAMPLE])
        for head in labeller.linear_heads:
            head.bias -= head(first).mean(dim=0)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    state = {f"module.{name}": tensor for name, tensor in labeller.state_dict().items()}
    torch.save({"model_state_dict": state}, checkpoint)
