"""Reports rewritten so that they speak of one film only: no earlier studies, history, views or dates.

A language model does the rewriting (prompts in ``prompts/``), rules check what it wrote: no reference to an earlier
study (:mod:`~radvlm_course.language.priors`), no view, no mark of deleted text, no number that the report does not
have, no remarks, not longer than the report. ``None`` as the whole answer says that nothing is left. Two variants,
after the two sources of the method: MIMIC-CXR, and CheXpert-Plus, whose reports are in capitals, with typing errors.

What no rule can see: a finding that was dropped or turned into its opposite. Read a sample.

Source of the task: RadVLM (Deperrois et al., arXiv 2502.03333). One file a report,
``filtered_reports/<study>.txt``; the readers of MIMIC-CXR and CheXpert-Plus take it with ``text_from="filtered"``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import partial

from radvlm_course.chat import split_thought
from radvlm_course.language.client import Message
from radvlm_course.language.jobs import AnswerRejected, Job, Verdict
from radvlm_course.language.priors import find_prior_references
from radvlm_course.language.prompts import load_prompt
from radvlm_course.records import Study

__all__ = ["OUTPUT_FOLDER", "VARIANTS", "check_rewritten", "prompts_of", "report_key", "rewriting_jobs"]

OUTPUT_FOLDER = "filtered_reports"
VARIANTS = {"mimic_cxr": "rewrite_mimic_cxr", "chexpert_plus": "rewrite_chexpert_plus"}

_REFUSAL = re.compile(
    r"(?:i['\u2019]?m sorry|i am sorry|sorry,|i cannot|i can['\u2019]?t|i['\u2019]?m unable|as an ai)\b", re.I
)
_REMARK = re.compile(
    r"\A(?:here (?:is|are)|sure|certainly|of course|okay|rewritten|the (?:rewritten|revised|filtered) report)\b"
    r"|\b(?:findings|impression|report|note)\s*:|```|\*\*|^#|\((?:note|removed|omitted)\b",
    re.I | re.M,
)
_DELETED = re.compile(r"_{2,}|\[\*\*")
_POSITION = r"(?:lateral|frontal|oblique|portable|supine|upright|semi-?upright|chest)"
_VIEW = re.compile(
    rf"\b(?:PA|AP)\b(?= (?:(?:and|or) )?(?:{_POSITION} ){{0,2}}(?:lateral|views?|radiographs?|films?|projections?)\b)"
    rf"|\b{_POSITION} (?:{_POSITION} ){{0,2}}(?:views?|radiographs?|films?|projections?)\b|\bportable\b"
    r"|\b(?:single|two) (?:\w+ )?views?\b"
)
_CHEXPERT_PATH = re.compile(r"(train|valid|test)/(patient\d+)/(study\d+)/[^/]+$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def rewriting_jobs(
    studies: Iterable[Study], variant: str = "mimic_cxr", ignore_rules: Collection[str] = ()
) -> tuple[list[Job], Counter[str]]:
    """One job a report; a report that belongs to several films is rewritten once.

    Args:
        variant: one of :data:`VARIANTS`.
        ignore_rules: rules of the check for earlier studies that are not applied.

    Returns:
        (jobs, reason -> films that gave no job of their own)

    Raises:
        ValueError: there is no such variant, or two films of one study have different reports.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant: expected {' or '.join(VARIANTS)}, found {variant!r}")
    jobs, skipped, reports = [], Counter[str](), dict[str, str]()
    for study in studies:
        key = report_key(study)
        if not study.report.strip():
            skipped["film without a report"] += 1
        elif key not in reports:
            reports[key] = study.report
            check = partial(check_rewritten, report=study.report, ignore_rules=ignore_rules)
            jobs.append(Job(key, study.source, partial(_messages, study.report, variant), check))
        elif reports[key] == study.report:
            skipped["further film with the same report"] += 1
        else:
            raise ValueError(f"{key}: expected one report, found two different ones on the films that share it")
    return jobs, skipped


def report_key(study: Study) -> str:
    """The name of a report's file, where the dataset's reader looks for it. A record is one film; films share reports.

    MIMIC-CXR: the number of the study; CheXpert-Plus: part, patient and study of the image's path; Open-i: the patient,
    who has one report; any other dataset: the record's own id.
    """
    if study.source == "mimic_cxr":
        return study.study_id.partition("_")[0]
    if study.source == "chexpert_plus" and (found := _CHEXPERT_PATH.search(study.image_path)):
        return "_".join(found.groups())
    if study.source == "open_i":
        return study.patient_id
    return study.study_id.replace("/", "_")


def prompts_of(variant: str) -> dict[str, str]:
    """Prompt -> digest, of all that a rewriting is asked with."""
    return {name: load_prompt(name).sha256 for name in (VARIANTS[variant], "rewrite_report", "answer_rejected")}


def _messages(report: str, variant: str) -> list[Message]:
    return [
        {"role": "system", "content": load_prompt(VARIANTS[variant]).text},
        {"role": "user", "content": load_prompt("rewrite_report").fill(report=report.strip())},
    ]


def check_rewritten(answer: str, report: str, ignore_rules: Collection[str] = ()) -> Verdict:
    """Accept a rewritten report, or say what is wrong with it.

    Args:
        answer: the model's text, with or without a thought before it.
        report: what it was made from.

    Raises:
        AnswerRejected: with the first reason.

    >>> check_rewritten("None", "No significant interval change.").outcome
    'nothing_left'
    """
    text = (split_thought(answer).response or "").strip().strip("\"'").strip()
    if text.rstrip(".").casefold() == "none":
        return Verdict("nothing_left")
    if not text:
        raise AnswerRejected("empty", "the answer was empty; write None if nothing of the report is left")
    if _REFUSAL.match(text):
        raise AnswerRejected("refusal", "it is not a report")
    if found := _DELETED.search(text):
        raise AnswerRejected("deleted_text", f"it has a mark of deleted text ({found.group()!r})")
    if found := _REMARK.search(text):
        raise AnswerRejected("remark", f"it has a heading or a remark ({found.group()!r}); write the text only")
    if references := find_prior_references(text, ignore_rules):
        named = "; ".join(f"{reference.words!r} in {reference.sentence!r}" for reference in references[:5])
        raise AnswerRejected("prior_study", f"it refers to another examination or to change over time ({named})")
    if found := _VIEW.search(text):
        raise AnswerRejected("view", f"it names a view or the technique ({found.group()!r})")
    if invented := sorted(set(_NUMBER.findall(text)) - set(_NUMBER.findall(report))):
        raise AnswerRejected("invented_number", f"the report does not have the number {', '.join(invented)}")
    if (words := len(text.split())) > (most := round(1.2 * len(report.split())) + 15):
        raise AnswerRejected("longer", f"it has {words} words, more than {most}; add nothing to the report")
    return Verdict("accepted", text)
