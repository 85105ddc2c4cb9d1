"""How long does the full mixture take to build, and how much memory?

    python benchmarks/mixture.py                    # 1,115,021 pairs, some minutes and 5 GB of disk
    python benchmarks/mixture.py --scale 0.01       # a first look

Studies are made on the spot at the row counts that the method has (a study for every film, with identifiers, reports,
labels, regions and boxes of the usual lengths); images are paths only, written conversations are real files. So the
time is that of building: reading tables, scene graphs and images comes on top, and depends on the disk.

What the method does not say is assumed: Chest ImaGenome has as many films beside its 162,794 training films as a split
of 70, 10 and 20 percent makes, all from MIMIC-CXR's train split; a patient has four films.

Two builds, each with all files (JSON lines, Parquet, LLaVA, verl): ``paper``, and ``default`` with the films of
evaluation splits left out of training. Peak memory is the sum of the resident memory of all processes,
sampled five times a second, shared pages counted several times.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from radvlm_course.boxes import Box
from radvlm_course.instructions import MixtureCard, build_mixture
from radvlm_course.records import Study

BUILDS = {"paper": "allow", "default": "leave_out"}  # -> cross_source_leaks
POOL = 1024  # different texts, label rows and sets of boxes; films take them in turn
FILMS_OF_PATIENT = 4
SENTENCES = (
    "The heart size is normal.",
    "The mediastinal and hilar contours are unremarkable.",
    "There is a small left pleural effusion with adjacent atelectasis.",
    "No focal consolidation, pleural effusion or pneumothorax is identified.",
    "The pulmonary vasculature is not engorged.",
    "Mild interstitial edema is seen, with enlargement of the cardiac silhouette.",
    "An endotracheal tube terminates 4 cm above the carina.",
    "Patchy opacity in the right lower lung may represent atelectasis or early pneumonia.",
    "Old healed right rib fractures are noted, without acute osseous abnormality.",
    "The left hemidiaphragm is elevated and the costophrenic angle is blunted.",
)
LABELS = (
    "atelectasis",
    "cardiomegaly",
    "consolidation",
    "edema",
    "enlarged cardiomediastinum",
    "fracture",
    "lung lesion",
    "lung opacity",
    "pleural effusion",
    "pleural other",
    "pneumonia",
    "pneumothorax",
    "support devices",
)
REGIONS = tuple(f"region {number}" for number in range(29))
# (dataset, split) -> films; of MIMIC-CXR, Chest ImaGenome takes a run of the train films, MS-CXR some of each split.
FILMS = {
    ("mimic_cxr", "train"): 237_912,
    ("mimic_cxr", "test"): 3_314,
    ("chexpert", "train"): 191_027,
    ("chexpert", "test"): 518,
    ("chexpert_plus", "train"): 186_463,
    ("chest_imagenome", "train"): 162_794,
    ("chest_imagenome", "test"): 46_512,
    ("ms_cxr", "train"): 856,
    ("ms_cxr", "validation"): 6,
    ("ms_cxr", "test"): 155,
    ("vindr_cxr", "train"): 13_500,
    ("vindr_cxr", "validation"): 1_500,
    ("vindr_cxr", "test"): 3_000,
    ("padchest_gr", "train"): 1_945,
    ("padchest_gr", "validation"): 280,
    ("padchest_gr", "test"): 445,
}
REPORTS = 230_980  # films of MIMIC-CXR's train split whose report was rewritten
TALKS = {("mimic_cxr", "train"): 86_155, ("mimic_cxr", "test"): 600}  # the other datasets: all films
IMAGENOME_TEST_FROM = 186_052  # where its test films begin in MIMIC-CXR's train split
# (dataset, split) -> things to ground (phrases, or findings with boxes) and the films that have any.
TARGETS = {
    ("ms_cxr", "train"): (964, 856),
    ("ms_cxr", "validation"): (7, 6),
    ("ms_cxr", "test"): (189, 155),
    ("vindr_cxr", "train"): (14_480, 3_955),
    ("vindr_cxr", "validation"): (1_609, 439),
    ("vindr_cxr", "test"): (2_108, 952),
    ("padchest_gr", "train"): (3_914, 1_945),
    ("padchest_gr", "validation"): (564, 280),
    ("padchest_gr", "test"): (900, 445),
}


@dataclass(frozen=True)
class Generated:
    """A dataset of generated studies; called as a ``sources.Source`` is."""

    name: str
    scale: float

    def __call__(self, split: str, **options: Any) -> Iterator[Study]:
        pools = make_pools()
        films = scaled(FILMS.get((self.name, split), 0), self.scale)
        targets, with_targets = (scaled(n, self.scale) for n in TARGETS.get((self.name, split), (0, 0)))
        reports = scaled(REPORTS, self.scale) if (self.name, split) == ("mimic_cxr", "train") else films
        for film in range(films):
            share = targets // with_targets + (film < targets % with_targets) if film < with_targets else 0
            has_text = options.get("text_from", "none") != "none" and film < reports
            yield self._study(film, split, pools, share, has_text)

    def _study(self, film: int, split: str, pools: Pools, targets: int, has_text: bool) -> Study:
        path, patient, study = self.identity(film, split)
        boxes = {pools.names[(film + n) % POOL]: pools.boxes[(film + n) % POOL] for n in range(targets)}
        is_phrases = self.name in ("ms_cxr", "padchest_gr")
        return Study(
            path,
            (2544, 3056),
            patient,
            study,
            self.name,
            split,
            "PA" if film % 2 else "AP",
            pools.reports[film % POOL] if has_text else "",
            pools.findings[film % POOL] if self.name in ("mimic_cxr", "chexpert") else {},
            pools.regions[film % POOL] if self.name == "chest_imagenome" else {},
            boxes if not is_phrases else {},
            boxes if is_phrases else {},
        )

    def identity(self, film: int, split: str) -> tuple[str, str, str]:
        """(image path, patient, study) of a film, in identifiers of the usual lengths."""
        if self.name in ("chest_imagenome", "ms_cxr", "mimic_cxr"):
            if self.name == "chest_imagenome":
                film, split = film + (split == "test") * scaled(IMAGENOME_TEST_FROM, self.scale), "train"
            number = film + {"train": 0, "validation": 4_000_000, "test": 8_000_000}[split]
            patient = f"{10_000_000 + number // FILMS_OF_PATIENT}"
            dicom = "-".join([f"{number:08x}"] + ["0123abcd"] * 4)
            return (
                f"/data/mimic/files/p{patient[:2]}/p{patient}/s{50_000_000 + number}/{dicom}.jpg",
                patient,
                (f"{50_000_000 + number}_{dicom}"),
            )
        if self.name in ("chexpert", "chexpert_plus"):
            number = film // FILMS_OF_PATIENT + {"train": 1, "validation": 64_541, "test": 64_741}[split]
            inner = f"{split}/patient{number:05d}/study{film % FILMS_OF_PATIENT + 1}/view1_frontal"
            return f"/data/{self.name}/{inner}.jpg", f"patient{number:05d}", inner
        stem = f"{split}{film:032x}"[-32:] if split == "train" else f"{split[0]}{film:031x}"
        return f"/data/{self.name}/{split}/{stem}.png", stem, stem


class Pools:
    """Texts, labels and boxes, made once a process."""

    def __init__(self) -> None:
        rng = random.Random(0)
        self.reports = [" ".join(rng.sample(SENTENCES, rng.randint(3, 7))) for _ in range(POOL)]
        self.findings = [
            {label: rng.choice((1, 1, 0, -1)) for label in rng.sample(LABELS, rng.randint(0, 4))} for _ in range(POOL)
        ]
        self.boxes = [(random_box(rng),) * rng.choice((1, 1, 2)) for _ in range(POOL)]
        self.regions = [{name: (random_box(rng),) for name in REGIONS} for _ in range(POOL)]
        self.names = [f"{rng.choice(SENTENCES)[:-1].lower()}, sign {number}" for number in range(POOL)]


@functools.cache
def make_pools() -> Pools:
    return Pools()


def random_box(rng: random.Random) -> Box:
    x, y = rng.uniform(0, 0.6), rng.uniform(0, 0.6)
    return Box(x, y, x + rng.uniform(0.05, 0.4), y + rng.uniform(0.05, 0.4))


def scaled(count: int, scale: float) -> int:
    return round(count * scale)


def write_conversations(folder: Path, scale: float) -> dict[str, str]:
    """Conversations of seven rounds as files, in the layout of ``data_scripts/write_conversations.py``."""
    rounds = [
        {"from": speaker, "value": text}
        for number in range(7)
        for speaker, text in (("human", SENTENCES[number] + " Is that right?"), ("gpt", SENTENCES[number + 1]))
    ]
    text = json.dumps(rounds)
    for (name, split), films in FILMS.items():
        kind = "standard" if name == "mimic_cxr" else "grounding"
        if name not in ("mimic_cxr", "ms_cxr", "padchest_gr"):
            continue
        inner = folder / name / split / kind
        inner.mkdir(parents=True)
        for film in range(scaled(TALKS.get((name, split), films), scale)):
            path, _, _ = Generated(name, scale).identity(film, split)
            (inner / f"{Path(path).stem}.json").write_text(text)
    return {name: str(folder / name) for name in ("mimic_cxr", "ms_cxr", "padchest_gr")}


class PeakMemory:
    """The largest sum of the resident memory of this process and its children, in bytes; a context manager."""

    def __enter__(self) -> PeakMemory:
        self.peak, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.2):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total)


def measure(name: str, arguments: argparse.Namespace, talks: dict[str, str], folder: Path) -> MixtureCard:
    """Build once, print a row of the table, and remove the files."""
    names = sorted({dataset for dataset, _ in FILMS})
    started, cpu = time.perf_counter(), cpu_seconds()
    with PeakMemory() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # reports that were not rewritten, and so on: on the card
        card = build_mixture(
            {"base": arguments.mixture, "cross_source_leaks": BUILDS[name]},
            {dataset: Generated(dataset, arguments.scale) for dataset in names},
            folder,
            seed=0,
            progress=sys.stderr.isatty() or arguments.progress,
            conversations=talks,
            workers=arguments.workers,
        )
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    pairs = sum(card.total(split) for split in card.examples)
    print(
        f"| {name} | {card.total('train'):,} | {card.total('test'):,} | {seconds:.0f} | {cpu_seconds() - cpu:.0f} "
        f"| {pairs / seconds:,.0f} | {memory.peak / 1e9:.2f} | {size / 1e9:.2f} |",
        flush=True,
    )
    shutil.rmtree(folder)
    return card


def cpu_seconds() -> float:
    """Of this process and the children that have ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in times)


def print_entries(card: MixtureCard) -> None:
    """Pairs of each entry beside the paper's."""
    print("| split | task | dataset | built | left out | kept | the paper's |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for split, entries in card.entries.items():
        for entry in entries:
            left_out, paper = sum(entry["left_out"].values()), entry["paper"]
            print(
                f"| {split} | {entry['task']} | {entry['source']} | {entry['built']:,} | {left_out:,} "
                f"| {entry['kept']:,} | {f'{paper:,}' if paper else ''} |"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", default="radvlm")
    parser.add_argument("--builds", nargs="+", default=list(BUILDS), choices=BUILDS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the row counts")
    parser.add_argument("--progress", action="store_true", help="show bars even where nobody watches")
    parser.add_argument("--folder", type=Path, default=None, help="where to build; emptied at the end")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        talks = write_conversations(Path(folder) / "conversations", chosen.scale)
        print(f"mixture {chosen.mixture}, {chosen.workers} workers, {os.cpu_count()} cores, scale {chosen.scale:g}\n")
        print("| build | train pairs | test pairs | seconds | CPU seconds | pairs/s | peak memory, GB | files, GB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        cards = [measure(name, chosen, talks, Path(folder) / "mixture") for name in chosen.builds]
    for name, card in zip(chosen.builds, cards, strict=True):
        print(f"\n{name}: in two splits {card.overlaps or 'nothing'}\n")
        print_entries(card)


if __name__ == "__main__":
    main()
