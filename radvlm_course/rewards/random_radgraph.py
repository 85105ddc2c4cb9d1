"""A RadGraph model with random weights; see :mod:`radvlm_course.rewards.random_weights`.

The last biases are set from sample sentences: a plausible share of spans become entities, and of their pairs some
become relations, none of them by a margin that rounding could turn.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from radvlm_course.rewards.compat import radgraph as radgraph_compat
from radvlm_course.rewards.random_weights import SAMPLE, Sizes, spread

__all__ = ["write_radgraph"]

_ENTITIES = (
    "Anatomy::definitely present",
    "Observation::definitely present",
    "Observation::definitely absent",
    "Observation::uncertain",
)
_RELATIONS = ("located_at", "modify", "suggestive_of")
ENTITIES_PER_WORD, RELATION_SHARE = 0.4, 0.1


def write_radgraph(sizes: Sizes, bert: Path, folder: Path, model: str) -> None:
    """``config.json``, ``vocabulary/`` and ``weights.th`` of a freshly initialised DyGIE++."""
    import torch

    vocabulary = folder / "vocabulary"
    vocabulary.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(_radgraph_settings(sizes, bert), indent=1))
    (vocabulary / "non_padded_namespaces.txt").write_text("*labels\n*tags\n")
    (vocabulary / f"{model}__ner_labels.txt").write_text("\n".join(["", *_ENTITIES]) + "\n")
    (vocabulary / f"{model}__relation_labels.txt").write_text("\n".join(_RELATIONS) + "\n")
    dygie = _dygie(folder)
    spread(dygie, sizes.spread)
    torch.save(dygie.state_dict(), folder / "weights.th")
    _calibrate(folder, model)


def _radgraph_settings(sizes: Sizes, bert: Path) -> dict[str, Any]:
    embedder = {"type": "pretrained_transformer_mismatched", "model_name": str(bert.resolve()), "max_length": 512}
    events_loss = {"trigger": 1.0, "arguments": 1.0}
    return {
        "dataset_reader": {
            "type": "dygie",
            "max_span_width": sizes.span_width,
            "token_indexers": {"bert": embedder},
        },
        "model": {
            "type": "dygie",
            "embedder": {"token_embedders": {"bert": embedder}},
            "initializer": {},
            "module_initializer": {},
            "feature_size": sizes.feature,
            "max_span_width": sizes.span_width,
            "target_task": "relation",
            "feedforward_params": {
                "num_layers": sizes.feedforward_layers,
                "hidden_dims": sizes.feedforward,
                "dropout": 0.4,
            },
            "loss_weights": {"ner": 0.2, "relation": 1.0, "coref": 0.0, "events": 0.0},
            "modules": {
                "ner": {},
                "relation": {"spans_per_word": 0.5},
                "coref": {"spans_per_word": 0.3, "max_antecedents": 10, "coref_prop": 0},
                "events": {"trigger_spans_per_word": 0.3, "argument_spans_per_word": 0.8, "loss_weights": events_loss},
            },
        },
    }


def _dygie(folder: Path) -> Any:
    """A new DyGIE++ as ``radgraph.RadGraph`` makes it from the folder's settings."""
    from dotmap import DotMap

    radgraph_compat.load()
    from radgraph.allennlp.data import Vocabulary
    from radgraph.allennlp.modules import text_field_embedders, token_embedders
    from radgraph.dygie.models import dygie

    settings = DotMap(json.loads((folder / "config.json").read_text()))
    bert = settings.model.embedder.token_embedders.bert
    embedder = token_embedders.PretrainedTransformerMismatchedEmbedder(bert.model_name, max_length=bert.max_length)
    options = settings.model
    for name in ("type", "embedder", "initializer", "module_initializer"):
        del options[name]
    vocabulary = Vocabulary.from_files(str(folder / "vocabulary"))
    return dygie.DyGIE(
        vocab=vocabulary, embedder=text_field_embedders.BasicTextFieldEmbedder({"bert": embedder}), **options
    )


def _calibrate(folder: Path, model: str) -> None:
    """Give entities and relations the wanted frequencies on the sample, and let pruning favour entities."""
    import torch

    from radvlm_course.rewards.scorers.dygie import BatchedDygie
    from radvlm_course.rewards.scorers.radgraph import load_package_model

    package = load_package_model(model, device="cpu")
    batched = BatchedDygie(package)
    heads = package.model
    ner_network, ner = (part._module for part in heads._ner._ner_scorers[f"{model}__ner_labels"])
    pruner_network, pruner = (
        part._module for part in heads._relation._mention_pruners[f"{model}__relation_labels"]._scorer
    )
    relation = heads._relation._relation_scorers[f"{model}__relation_labels"]
    words = [text.split() for text in SAMPLE]
    with torch.no_grad():
        ner.bias -= batched.ner_scores(words).mean(dim=0)  # no label before the others
        ner.bias -= _threshold(batched.ner_scores(words), int(ENTITIES_PER_WORD * sum(map(len, words))))
        pruner_network.load_state_dict(ner_network.state_dict())
        features: list[Any] = []
        with ner.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0])):
            best = batched.ner_scores(words).max(dim=1, keepdim=True).values
        pruner.weight.copy_(torch.linalg.lstsq(features[0], best, driver="gelsd").solution.T)
        relation.bias -= batched.relation_scores(words).mean(dim=0)
        scores = batched.relation_scores(words)
        relation.bias -= _threshold(scores, int(RELATION_SHARE * len(scores)))
    torch.save(heads.state_dict(), folder / "weights.th")


def _threshold(scores: Any, count: int) -> float:
    """What to subtract so that ``count`` rows have a positive score, none of them by a hair's breadth.

    Args:
        scores: shape (rows, labels).
    """
    best = scores.max(dim=1).values.sort(descending=True).values
    return float(best[count - 1 : count + 1].mean())
