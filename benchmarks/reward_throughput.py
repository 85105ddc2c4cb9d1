"""How fast are the clinical rewards, against the packages called one pair at a time?

    python benchmarks/reward_throughput.py                       # both regimes, some 20 minutes on two cores
    python benchmarks/reward_throughput.py --regimes tiny        # half a minute
    python benchmarks/reward_throughput.py --device cuda --plain-pairs 512

A batch as GRPO makes it: 64 references, 8 rollouts each, all of report length. Per reward and in the same process:

- plain: the package's own class on one pair after the other. Timed on a sample of the pairs and scaled up to all of
  them (``--plain-pairs``), since the time of a pair does not depend on the others.
- ours: the reward on the whole batch, with empty caches; all of it, from text to values.
- limit: every distinct text through the encoder once, in full batches sorted by length, and nothing else: no
  tokens, no padding, no heads, no comparison.

Two regimes: ``bert-base``, random weights in the sizes of the real models, where the encoder's arithmetic dominates;
and ``tiny``, where everything but the arithmetic does, as on a GPU. Speed does not depend on what the weights are.
The table gives pairs per second, the speed-up over plain beside the limit's, and the share of the limit reached. With a
lower precision (``--dtype bfloat16``) a second table says by how much it changes the values. Where other programs use
the same cores, wall time says nothing: take ``--clock cpu --threads 1``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from radvlm_course.records import Example
from radvlm_course.rewards import get_reward, random_weights, weights
from radvlm_course.rewards.compat import bert_score, f1chexbert, radgraph
from radvlm_course.rewards.model_reward import ModelReward
from radvlm_course.rewards.radcliq import bleu_2
from radvlm_course.rewards.scorers.batching import batches_by_length, max_tokens_for, padded

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
REGIMES = {"bert-base": random_weights.BERT_BASE, "tiny": random_weights.TINY}
REWARDS = ("radgraph", "chexbert", "bertscore", "radcliq")
SENTENCES = (
    "The heart size is {normal}.",
    "There is {degree} cardiomegaly, {change} from before.",
    "A {degree} {side} pleural effusion is seen with adjacent atelectasis in the {side} lower lobe.",
    "No focal consolidation, pleural effusion or pneumothorax is identified.",
    "The mediastinal and hilar contours are {normal} and the pulmonary vasculature is not engorged.",
    "{degree} interstitial pulmonary edema is {change}, with {degree} enlargement of the cardiac silhouette.",
    "An endotracheal tube terminates 4 cm above the carina and a {side} internal jugular catheter ends in the svc.",
    "Patchy opacity in the {side} {zone} lung may represent atelectasis or early pneumonia.",
    "Old healed {side} rib fractures are again noted, without acute osseous abnormality.",
    "The {side} hemidiaphragm is elevated and the {side} costophrenic angle is blunted.",
    "Low lung volumes accentuate the bronchovascular markings at both bases.",
)
CHOICES = {
    "normal": ("normal", "unremarkable", "within normal limits", "stable"),
    "degree": ("mild", "moderate", "severe", "small", "large"),
    "change": ("unchanged", "slightly increased", "improved", "new"),
    "side": ("left", "right"),
    "zone": ("upper", "mid", "lower"),
}


@dataclass(frozen=True)
class Timing:
    """Seconds for the whole batch."""

    reward: str
    plain: float
    ours: float
    limit: float


def make_batch(references: int, rollouts: int, words: int, seed: int = 0) -> tuple[list[str], list[Example]]:
    """Reports of about ``words`` words, and rollouts that differ from theirs in some of the sentences."""
    rng = random.Random(seed)

    def sentence() -> str:
        return rng.choice(SENTENCES).format(**{name: rng.choice(values) for name, values in CHOICES.items()})

    completions, examples = [], []
    for number in range(references):
        report: list[str] = []
        while sum(len(text.split()) for text in report) < words * rng.uniform(0.7, 1.1):
            report.append(sentence())
        example = Example(f"e{number}", "report_generation", "film.png", "Report?", " ".join(report))
        for _ in range(rollouts):
            completions.append(" ".join(sentence() if rng.random() < 0.4 else text for text in report))
            examples.append(example)
    return completions, examples


def vocabulary() -> list[str]:
    """The words of the batch, for the random models' tokenizers."""
    text = " ".join([*SENTENCES, *(value for values in CHOICES.values() for value in values)]).lower()
    return sorted({word.strip(".,{}") for word in text.split()} - {""})


class Plain:
    """The packages as they are used without this course: one pair a call."""

    def __init__(self, device: str) -> None:
        number = -1 if device == "cpu" else 0
        package, folder = radgraph.load(), weights.radgraph_folder("radgraph-xl").parent
        chexbert = f1chexbert.load()
        chexbert.CACHE_DIR = str(weights.chexbert_checkpoint().parent)
        self.radgraph_f1 = package.F1RadGraph("complete", "radgraph-xl", model_cache_dir=str(folder), cuda=number)
        self.chexbert_f1 = chexbert.F1CheXbert(device=device)
        self._tokenize, self._mask = chexbert.tokenize, chexbert.generate_attention_masks
        scorer = bert_score.load().BERTScorer
        self.distilbert, self.distilroberta = (
            scorer(model_type=name, lang="en", rescale_with_baseline=True, device=device)
            for name in ("distilbert-base-uncased", "distilroberta-base")
        )

    def radgraph(self, response: str, reference: str) -> None:
        self.radgraph_f1(refs=[reference], hyps=[response])

    def chexbert(self, response: str, reference: str) -> None:
        self.chexbert_f1(hyps=[response], refs=[reference])

    def bertscore(self, response: str, reference: str) -> None:
        self.distilbert.score([response], [reference])

    def radcliq(self, response: str, reference: str) -> None:
        self.radgraph(response, reference)
        self.distilroberta.score([response], [reference])
        vectors = [self._embedding(text) for text in (response, reference)]
        torch.nn.functional.cosine_similarity(*vectors)
        bleu_2(response, reference)

    def _embedding(self, text: str) -> torch.Tensor:
        import pandas

        device = self.chexbert_f1.device
        ids = torch.tensor(self._tokenize(pandas.Series([text]), self.chexbert_f1.tokenizer))
        with torch.no_grad():
            mask = self._mask(ids, [ids.shape[1]], device)
            return self.chexbert_f1.model.bert(ids.to(device), attention_mask=mask)[0][:, 0]


def seconds(run: Callable[[], Any], arguments: argparse.Namespace) -> float:
    clock, on_gpu = CLOCKS[arguments.clock], arguments.device != "cpu"
    if on_gpu:
        torch.cuda.synchronize()
    start = clock()
    run()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def encoders(reward: ModelReward) -> list[tuple[Any, Any]]:
    """(encoder, tokenizer) of each scorer of a reward."""
    found = []
    for scorer in reward.scorers:
        name = type(scorer).__name__
        if name == "RadGraphScorer":
            batched = scorer._batched
            found.append((batched._encoder, batched._tokenizer))
        elif name == "CheXbertScorer":
            found.append((scorer._model.bert, scorer._tokenizer))
        else:
            found.append((scorer._encoder, scorer._tokenizer))
    return found


def limit(reward: ModelReward, texts: Sequence[str], arguments: argparse.Namespace) -> float:
    """Seconds to encode distinct texts once, in full batches, with every encoder of a reward; batches made before."""
    where, total = torch.device(arguments.device), 0.0
    most = arguments.limit_batch_tokens or max_tokens_for(where)
    for encoder, tokenizer in encoders(reward):
        rows = tokenizer(list(texts), truncation=True, max_length=512)["input_ids"]
        batches = batches_by_length([len(row) for row in rows], most)
        tensors = [padded([rows[index] for index in batch], tokenizer.pad_token_id, where) for batch in batches]

        def run(encoder: Any = encoder, tensors: Any = tensors) -> None:
            with torch.inference_mode():
                for ids, mask in tensors:
                    encoder(input_ids=ids, attention_mask=mask)

        total += seconds(run, arguments)
    return total


def measure(arguments: argparse.Namespace, name: str) -> list[Timing]:
    """Time every reward on one batch, and print what the batch is."""
    completions, examples = make_batch(arguments.references, arguments.rollouts, arguments.words)
    sample = random.Random(1).sample(range(len(completions)), min(arguments.plain_pairs, len(completions)))
    plain = Plain(arguments.device)
    timings = []
    for reward_name in arguments.rewards:
        reward: Any = get_reward(reward_name, device=arguments.device, dtype=arguments.dtype)
        timings.append(measure_one(arguments, reward, getattr(plain, reward_name), completions, examples, sample))
        print(f"  {name}: {reward_name} done", file=sys.stderr, flush=True)
    texts = distinct(reward.prepared(completions, examples))
    tokens = sum(len(row) for row in plain.chexbert_f1.tokenizer(texts)["input_ids"]) / len(texts)
    print(
        f"\n{name}: {arguments.references} references x {arguments.rollouts} rollouts, {len(texts)} distinct texts of "
        f"{tokens:.0f} tokens on average; {arguments.device}, {torch.get_num_threads()} threads, {arguments.dtype}, "
        f"{arguments.clock} time; plain timed on {len(sample)} of {len(completions)} pairs and scaled up; "
        f"median of {arguments.repeats}\n"
    )
    return timings


def measure_one(
    arguments: argparse.Namespace,
    reward: ModelReward,
    once: Callable[[str, str], None],
    completions: list[str],
    examples: list[Example],
    sample: Sequence[int],
) -> Timing:
    """Plain, limit and ours in turn, so that a machine that slows down slows down all three."""
    pairs = reward.prepared(completions, examples)
    texts = distinct(pairs)

    def one_by_one(chosen: Sequence[int] = sample) -> None:
        for index in chosen:
            once(*pairs[index])

    one_by_one(sample[:2])
    reward(completions[:16], examples[:16])
    singles, limits, ours = [], [], []
    for _ in range(arguments.repeats):
        singles.append(seconds(one_by_one, arguments))
        limits.append(limit(reward, texts, arguments))
        for scorer in reward.scorers:
            scorer.forget()
        ours.append(seconds(lambda: reward(completions, examples), arguments))
    scale = len(pairs) / len(sample)
    return Timing(reward.name, statistics.median(singles) * scale, statistics.median(ours), statistics.median(limits))


def distinct(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(text for pair in pairs for text in pair))


def print_table(timings: Sequence[Timing], pairs: int) -> None:
    print("| reward | plain pairs/s | ours pairs/s | times plain | limit, times plain | share of the limit |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in timings:
        cells = (f"{pairs / row.plain:.1f}", f"{pairs / row.ours:.1f}", f"{row.plain / row.ours:.2f}")
        bound = (f"{row.plain / row.limit:.2f}", f"{row.limit / row.ours:.0%}")
        print(f"| {row.reward} | " + " | ".join((*cells, *bound)) + " |")


def print_errors(arguments: argparse.Namespace) -> None:
    """What the precision does to the rewards of the first pairs of the batch, as many as the packages were timed on."""
    batch = make_batch(arguments.references, arguments.rollouts, arguments.words)
    completions, examples = (side[: arguments.plain_pairs] for side in batch)
    print(f"\n| reward | {arguments.dtype} differs from float32 by, on average | at most |")
    print("| --- | ---: | ---: |")
    for name in arguments.rewards:
        exact, coarse = (
            get_reward(name, device=arguments.device, dtype=dtype)(completions, examples)
            for dtype in ("float32", arguments.dtype)
        )
        differences = [abs(first - second) for first, second in zip(exact, coarse, strict=True)]
        print(f"| {name} | {statistics.mean(differences):.4f} | {max(differences):.4f} |")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regimes", nargs="+", default=list(REGIMES), choices=REGIMES)
    parser.add_argument("--rewards", nargs="+", default=list(REWARDS), choices=REWARDS)
    parser.add_argument("--references", type=int, default=64)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--words", type=int, default=85, help="words of a report, about")
    parser.add_argument("--plain-pairs", type=int, default=32, help="pairs that the packages are timed on")
    parser.add_argument("--repeats", type=int, default=1)
    text = "cpu: processor seconds of all threads, which programs beside this one do not stretch; not for a GPU"
    parser.add_argument("--clock", default="wall", choices=CLOCKS, help=text)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", help="precision of our encoders; the packages stay in float32")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--limit-batch-tokens", type=int, default=None, help="padded tokens of a batch in the limit")
    parser.add_argument("--weights", type=Path, default=None, help="keep the random weights here, and reuse them")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = parse(arguments)
    warnings.filterwarnings("ignore")
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    for name in chosen.regimes:
        with contextlib.ExitStack() as stack:
            kept = chosen.weights and chosen.weights / name
            root = kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            with contextlib.redirect_stderr(io.StringIO()):
                if not (root / "hub").exists():
                    random_weights.build(root, REGIMES[name], words=vocabulary())
            stack.enter_context(random_weights.used(root))
            timings = measure(chosen, name)
            print_table(timings, chosen.references * chosen.rollouts)
            if chosen.dtype != "float32":
                print_errors(chosen)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
