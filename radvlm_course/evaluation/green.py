"""GREEN: a language model of 7B parameters counts the errors of a report; evaluation only.

GREEN (Ostmeier et al. 2024, arXiv 2405.03595) is a Llama trained to compare a candidate report with a reference and to
list matched findings and errors, significant and insignificant, of six kinds:

    GREEN = matched findings / (matched findings + significant errors), 0 if nothing is matched

The model (``StanfordAIMI/GREEN-radllama2-7b``) reads the one prompt that it was trained with; ``prompts/green.txt``
gives it word for word (GREEN's repository, MIT licence). Settings of the paper's tables: half precision, greedy,
batches of 8, prompts and answers of at most 2,048 tokens, each report cut to 300 words. At some two seconds a report on
a large GPU it is no reward.

How its answers are read: :mod:`~radvlm_course.evaluation.green_reading`. One that cannot be read has no score
(``value`` null, counted); the published reading stands beside it (``value_paper``, and the file ``green_paper.jsonl``).

    python -m radvlm_course.evaluation.green --examples test.jsonl --predictions sft.jsonl --output green
        --model StanfordAIMI/GREEN-radllama2-7b

With ``--url`` an OpenAI-compatible endpoint serves the model. Its chat template reads turns as {"from": "human",
"value": ...}; a server that sends {"role": "user", "content": ...} needs a template of its own (vLLM: --chat-template).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from radvlm_course.evaluation.asking import (
    Pair,
    Question,
    add_data_options,
    add_endpoint_options,
    ask_endpoint,
    endpoint_of,
    jobs_of,
    pairs_of,
    provenance,
)
from radvlm_course.evaluation.files import read_examples
from radvlm_course.evaluation.green_reading import KINDS, GreenJudgement, parse_green
from radvlm_course.evaluation.judgements import write_judgements
from radvlm_course.language.jobs import AnswerRejected, Attempt, Job, Record, Verdict
from radvlm_course.language.prompts import load_prompt
from radvlm_course.language.store import AnswerStore

if TYPE_CHECKING:
    from radvlm_course.language.client import Message

__all__ = ["GreenModel", "ask_model", "check_green", "green_question", "green_values", "main"]

MAX_WORDS, MAX_TOKENS, BATCH_SIZE = 300, 2048, 8
TASK = "report_generation"


def green_question(reference: str, candidate: str) -> list[Message]:
    """The one turn that GREEN reads, each report cut to its first 300 words."""
    cut = [" ".join(text.split()[:MAX_WORDS]) for text in (reference, candidate)]
    text = load_prompt("green").fill(reference=cut[0], candidate=cut[1]) + "\n"
    return [{"role": "user", "content": text}]


def check_green(text: str) -> Verdict:
    """Accept an answer with both sections that the score needs.

    Raises:
        AnswerRejected: one is missing.
    """
    if parse_green(text).value is None:
        raise AnswerRejected("unreadable", "it lacks the significant errors or the matched findings")
    return Verdict("accepted", text)


class GreenModel:
    """GREEN through ``transformers``.

    Args:
        name_or_path: model of the hub, or a folder.
        device: a torch device; None takes the first GPU, else the CPU.
        dtype: ``float16`` (the paper's); ``float32`` on a CPU.
    """

    def __init__(self, name_or_path: str, device: str | None = None, dtype: str = "float16") -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from radvlm_course.rewards.scorers.batching import choose_device

        self._device = choose_device(device)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(name_or_path, padding_side="left")
        if self._tokenizer.chat_template is None:
            raise ValueError(f"{name_or_path}: expected a tokenizer with a chat template, found none")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        model: Any = AutoModelForCausalLM.from_pretrained(name_or_path, dtype=getattr(torch, dtype))
        self._model = model.to(self._device).eval()

    def answer(
        self, conversations: Sequence[Sequence[Message]], max_new_tokens: int = MAX_TOKENS
    ) -> list[tuple[str, str]]:
        """(text, finish reason) of each conversation, decoded greedily in one batch."""
        import torch

        # GREEN's own template reads "from" and "value", others "role" and "content": each turn has both
        turns = [[{**m, "from": "human", "value": m["content"]} for m in messages] for messages in conversations]
        texts = [self._tokenizer.apply_chat_template(t, tokenize=False, add_generation_prompt=True) for t in turns]
        inputs = self._tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS, add_special_tokens=False
        ).to(self._device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=False,
                max_new_tokens=max_new_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        new = output[:, inputs["input_ids"].shape[1] :]
        stopped = (new == self._tokenizer.eos_token_id).any(dim=1).tolist()
        written = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        return [(text, "stop" if stop else "length") for text, stop in zip(written, stopped, strict=True)]


def ask_model(
    jobs: Sequence[Job],
    model: GreenModel,
    store: AnswerStore,
    batch_size: int = BATCH_SIZE,
    max_new_tokens: int = MAX_TOKENS,
    progress: bool = True,
) -> None:
    """Ask a model in this process about the jobs that are not done; each batch is kept as soon as it is answered."""
    from tqdm.auto import tqdm

    waiting = store.pending(jobs)
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(waiting), unit="report", disable=not progress)
    for batch in (waiting[start : start + batch_size] for start in range(0, len(waiting), batch_size)):
        for job, (text, reason) in zip(batch, model.answer([j.messages() for j in batch], max_new_tokens), strict=True):
            try:
                job.check(text)
                record = Record(job.key, job.source, "accepted", text, (Attempt(text, reason, 0, 0),))
            except AnswerRejected as error:
                attempt = Attempt(text, reason, 0, 0, error.code, error.explanation)
                record = Record(job.key, job.source, "rejected", "", (attempt,))
            store.write(record)
        bar.update(len(batch))
    bar.close()


def questions_of(pairs: Sequence[Pair]) -> list[Question]:
    """What is asked; a blank report is not asked about, it matches nothing."""
    return [Question(example, green_question(example.answer, text)) for example, text in pairs if text]


def green_values(pairs: Sequence[Pair], store: AnswerStore) -> Iterator[dict[str, Any]]:
    """The judgement of each pair, for ``write_judgements``; pairs without an answer so far raise.

    Raises:
        ValueError: a pair was not answered yet.
    """
    for example, text in pairs:
        judgement = GreenJudgement((0,) * len(KINDS), (0,) * len(KINDS), 0)
        if text:
            record = store.read(Question(example, green_question(example.answer, text)).key)
            if record is None:
                raise ValueError(f"example {example.id!r} has no answer of GREEN yet: run the command again")
            judgement = parse_green(record.attempts[-1].text)
        yield {
            "example_id": example.id,
            "value": judgement.value,
            "value_paper": judgement.value_paper,
            "matched": judgement.matched,
            "significant": judgement.significant,
            "insignificant": judgement.insignificant,
        }


def run(options: argparse.Namespace) -> int:
    """Ask about what was not asked, then write ``green.jsonl`` and ``green_paper.jsonl``."""
    pairs = pairs_of(read_examples(options.examples), options.predictions, (TASK,))
    jobs = jobs_of(questions_of(pairs), check_green)
    prompts = {"green": load_prompt("green").sha256}
    precision = None if options.url else options.dtype
    settings = provenance(
        options.model, prompts, endpoint=bool(options.url), dtype=precision, max_tokens=options.max_tokens
    )
    with AnswerStore(options.output, "answers", ".txt", settings) as store:
        if options.url:
            summary = ask_endpoint(jobs, *endpoint_of(options), store, options.concurrency, progress=not options.quiet)
            print(summary.text())
            if summary.failed:
                return 1
        else:
            model = GreenModel(options.model, options.device, options.dtype)
            ask_model(jobs, model, store, options.batch_size, options.max_tokens, progress=not options.quiet)
        lines = list(green_values(pairs, store))
    write_judgements(lines, options.output / "green.jsonl")
    write_judgements([{**line, "value": line["value_paper"]} for line in lines], options.output / "green_paper.jsonl")
    known = [line["value"] for line in lines if line["value"] is not None]
    mean = f"{sum(known) / len(known):.3f}" if known else "undefined"
    print(f"GREEN {mean} (n {len(known)}); {len(lines) - len(known)} answers could not be read; {options.output}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 1 some reports got no answer, or refused with a reason."""
    parser = argparse.ArgumentParser(
        prog="python -m radvlm_course.evaluation.green", description=(__doc__ or "").split("\n\n")[0]
    )
    add_data_options(parser)
    parser.add_argument("--model", required=True, help="hub name or folder; with --url its name there")
    add_endpoint_options(parser, MAX_TOKENS)
    parser.add_argument("--device", help="without --url: cuda, cpu, ... (default: the first GPU, else the CPU)")
    parser.add_argument("--dtype", default="float16", help="without --url: precision (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="without --url (%(default)s)")
    try:
        return run(parser.parse_args(arguments))
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
