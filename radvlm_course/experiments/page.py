"""The results page of the experiments: of each its question, the paper's finding, ours, pictures and verdicts.

The page is a Markdown file. What this module writes stands between two markers; words around them are left as they are.
Each picture holds a digest of the results that it was drawn from, so a picture of older results can be told.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from radvlm_course.experiments.at_scale import scale_table
from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.experiments.claims import VERDICTS, judge
from radvlm_course.experiments.results import Results, load_results
from radvlm_course.experiments.verdicts import rule_in_words

__all__ = [
    "all_stored",
    "finished_in",
    "page_block",
    "picture_digest",
    "picture_names",
    "results_digest",
    "total_seconds",
    "write_page",
]

MARKERS = re.compile(r"(<!-- experiments: begin -->\n).*?(<!-- experiments: end -->)", re.DOTALL)
WORKERS = 2  # trainings at a time, a core each
MINUTES_ALONE, MINUTES_ALL = 60, 180  # that an experiment, and all of them, may take
_DIGEST = "results"  # the text in a PNG that holds the digest


def all_stored() -> dict[str, Results]:
    """What the package has of finished experiments, in the catalogue's order."""
    folder = Path(str(resources.files("radvlm_course.experiments"))) / "stored"
    return _read({name: folder / f"{name}.json" for name in EXPERIMENTS})


def finished_in(run: Path) -> dict[str, Results]:
    """The experiments that a run folder has results of, in the catalogue's order."""
    return _read({name: run / "experiments" / name / "results.json" for name in EXPERIMENTS})


def _read(paths: Mapping[str, Path]) -> dict[str, Results]:
    return {name: load_results(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}


def write_page(path: Path, found: Mapping[str, Results]) -> list[Path]:
    """Write the page and its pictures (``pictures/`` beside it). Returns the pictures.

    A page that is there keeps all that stands outside of the markers; pictures of other experiments are left alone.

    Raises:
        ValueError: the page is there and has no markers.
    """
    from radvlm_course.viz.experiments import experiment_pictures
    from radvlm_course.viz.style import to_png

    before = path.read_text(encoding="utf-8") if path.exists() else _empty_page()
    if not MARKERS.search(before):
        raise ValueError(f"{path}: expected the markers of the experiments, found none: add {_empty_page()!r}")
    folder = path.parent / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, results in found.items():
        for picture, figure in experiment_pictures(results).items():
            target = folder / _file_name(name, picture)
            _save(to_png(figure), target, results_digest(results))
            written.append(target)
    path.write_text(MARKERS.sub(lambda found_: found_[1] + page_block(found) + found_[2], before), encoding="utf-8")
    return written


def page_block(found: Mapping[str, Results]) -> str:
    """What stands between the markers, in Markdown.

    Args:
        found: results of the experiments that were run; the others of the catalogue are told to be missing.
    """
    sections = [_overview(found), f"**How a claim is judged.** {rule_in_words()}\n"]
    sections += [_section(found[name]) if name in found else _not_run(name) for name in EXPERIMENTS]
    sections.append(f"## The same at the paper's size\n\n{scale_table()}")
    return "\n".join(sections)


def picture_names(results: Results) -> list[str]:
    """The files of an experiment's pictures."""
    from radvlm_course.viz.experiments import picture_kinds

    return [_file_name(results.experiment, kind) for kind in picture_kinds(results.experiment)]


def results_digest(results: Results) -> str:
    """The SHA-256 of all that the results hold."""
    return hashlib.sha256(json.dumps(dataclasses.asdict(results), sort_keys=True).encode()).hexdigest()


def picture_digest(path: Path) -> str:
    """The digest of the results that a picture was drawn from; empty if it holds none."""
    from PIL import Image

    with Image.open(path) as picture:
        return str(picture.info.get(_DIGEST, ""))


def total_seconds(found: Mapping[str, Results]) -> float:
    """Seconds of all trainings with their scoring, by the clock; what two experiments share counts once."""
    trainings: dict[str, float] = {}
    for name, results in found.items():
        arms = {arm.name: arm for arm in EXPERIMENTS[name].arms}
        for arm, seconds in results.seconds.items():
            folder = arms[arm].folder_name(0, results.budget.steps)
            trainings[folder] = seconds * len(results.budget.seeds)
    return sum(trainings.values())


def _empty_page() -> str:
    return "# The paper's comparisons, in small\n\n<!-- experiments: begin -->\n<!-- experiments: end -->\n"


def _overview(found: Mapping[str, Results]) -> str:
    lines = [
        f"| experiment | {' | '.join(VERDICTS)} | trainings | steps | seeds | seconds | minutes alone |",
        "|---|" + "---:|" * (len(VERDICTS) + 5),
    ]
    for name, experiment in EXPERIMENTS.items():
        if name not in found:
            lines.append(f"| `{name}` |" + " |" * (len(VERDICTS) + 1) + f" {experiment.steps} | not run yet | | |")
            continue
        results = found[name]
        verdicts = [item.verdict for item in judge(results)]
        counts = [str(verdicts.count(verdict)) for verdict in VERDICTS]
        seeds, seconds = results.budget.seeds, total_seconds({name: results})
        cells = [*counts, str(len(results.seconds) * len(seeds)), str(results.budget.steps)]
        cells += [", ".join(map(str, seeds)), f"{seconds:,.0f}", f"{seconds / WORKERS / 60:.0f}"]
        lines.append(f"| [`{name}`](#{_anchor(results.title)}) | {' | '.join(cells)} |")
    seconds = total_seconds(found)
    lines.append("")
    lines.append(
        f"{len(found)} of {len(EXPERIMENTS)} experiments: together {seconds:,.0f} seconds, "
        f"{seconds / WORKERS / 60:.0f} minutes of {MINUTES_ALL} with {WORKERS} workers (one alone: {MINUTES_ALONE}). "
        f"The seconds are those of the trainings with their scoring, by the clock, added up; {WORKERS} run at a "
        "time. A training that two experiments share counts once in the sum. Not in them: the run that leaves the "
        "models to start from, and scoring these."
    )
    return "\n".join(lines) + "\n"


def _section(results: Results) -> str:
    judgements = judge(results)
    rows = ["| the paper | its numbers | here | verdict |", "|---|---|---|---|"]
    rows += [
        f"| {item.claim.sentence} | {item.claim.paper()} | {item.reason} | **{item.verdict}** |" for item in judgements
    ]
    pictures = [f"![{results.title}](pictures/{name})" for name in picture_names(results)]
    budget = results.budget
    films = max(answer.examples for answer in results.answers)
    return "\n".join(
        [
            f"## {results.title}\n",
            f"The paper: {results.paper}\n",
            f"Command: `{results.command}`: {budget.steps} steps a training, at most {films} films of the test split a "
            f"task, {total_seconds({results.experiment: results}):,.0f} seconds.\n",
            *[f"{picture}\n" for picture in pictures],
            *rows,
            "\nAll questions, paired over the same films, 95% intervals by patient:\n",
            results.to_markdown(),
        ]
    )


def _not_run(name: str) -> str:
    experiment = EXPERIMENTS[name]
    return "\n".join(
        [
            f"## {experiment.title}\n",
            f"The paper: {experiment.paper}\n",
            f"Not run yet: `python -m radvlm_course experiments {name} --store`.\n",
        ]
    )


def _anchor(title: str) -> str:
    """As Markdown viewers make it of a heading."""
    return re.sub(r"[^\w\- ]", "", title.casefold()).replace(" ", "-")


def _file_name(experiment: str, picture: str) -> str:
    return f"experiment_{experiment}_{picture}.png"


def _save(png: bytes, target: Path, digest: str) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text(_DIGEST, digest)
    with Image.open(io.BytesIO(png)) as picture:
        picture.save(target, pnginfo=about, optimize=True)
