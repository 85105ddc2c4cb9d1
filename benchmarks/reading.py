"""How long do the readers take on tables of the real size, and how much memory?

    python benchmarks/reading.py                    # some minutes and 1 GB of disk
    python benchmarks/reading.py --scale 0.01       # a first look

``benchmarks/mixture.py`` makes its studies on the spot; what it leaves out is measured here. The tables, reports and
label files of four datasets are written at their real row counts, invented cell by cell, in the files that the
datasets deliver (reports in their zip archive), and every split is read. No image is opened or exists:
``check_images=False``. Of Chest ImaGenome's scene graphs one in twenty is written, each of the usual 29 regions with a
few attributes, since the whole of them takes gigabytes; its time grows with them.

Each dataset is read in a process of its own, so that the peak of resident memory is its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from radvlm_course.sources import Source
from radvlm_course.sources._chexpert import COLUMNS
from radvlm_course.sources.chest_imagenome import REGIONS

MIMIC_FILMS, FILMS_OF_STUDY, STUDIES_OF_PATIENT = 377_110, 1.655, 3.49
CHEXPERT_FILMS, CHEXPERT_OF_PATIENT = 223_414, 3.46
GRAPHS = 242_072 // 20
SPLITS = ("train", "validation", "test")
SENTENCES = (
    "The heart size is normal.",
    "There is a small left pleural effusion with adjacent atelectasis.",
    "No focal consolidation, pleural effusion or pneumothorax is identified.",
    "Mild interstitial edema is seen, with enlargement of the cardiac silhouette.",
    "Old healed right rib fractures are noted, without acute osseous abnormality.",
)


class Film(NamedTuple):
    """A film of MIMIC-CXR as its tables name it."""

    dicom: str
    subject: str
    study: str
    split: str


def mimic_films(count: int) -> Iterator[Film]:
    """Films in the order of the tables, with studies and patients of the usual sizes."""
    for number in range(count):
        study = int(number / FILMS_OF_STUDY)
        patient = int(study / STUDIES_OF_PATIENT)
        split = "test" if patient % 200 == 0 else "validate" if patient % 130 == 1 else "train"
        dicom = "-".join([f"{number:08x}", *["0123abcd"] * 4])
        yield Film(dicom, str(10_000_000 + patient), str(50_000_000 + study), split)


def report_of(rng: random.Random) -> str:
    body = "\n ".join(rng.sample(SENTENCES, 3))
    return (
        f"{' ' * 33}FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  ___ year old with cough.\n \n"
        f" COMPARISON:  None.\n \n FINDINGS:  \n \n {body}\n \n IMPRESSION:  \n \n {rng.choice(SENTENCES)}\n"
    )


def label_cells(rng: random.Random) -> list[str]:
    return [rng.choice(("", "", "", "", "1.0", "0.0", "-1.0")) for _ in COLUMNS]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_mimic(root: Path, scale: float) -> None:
    rng, films = random.Random(0), list(mimic_films(round(MIMIC_FILMS * scale)))
    metadata = ([f.dicom, f.subject, f.study, "AP" if n % 2 else "PA", 3056, 2544] for n, f in enumerate(films))
    header = ("dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "Columns")
    write_table(root / "mimic-cxr-2.0.0-metadata.csv", header, metadata)
    splits = ([f.dicom, f.study, f.subject, f.split] for f in films)
    write_table(root / "mimic-cxr-2.0.0-split.csv", ("dicom_id", "study_id", "subject_id", "split"), splits)
    studies = list(dict.fromkeys((film.subject, film.study) for film in films))
    labels = ([*ids, *label_cells(rng)] for ids in studies)
    write_table(root / "mimic-cxr-2.0.0-chexpert.csv", ("subject_id", "study_id", *COLUMNS), labels)
    pool = [report_of(rng) for _ in range(512)]
    with zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (subject, study) in enumerate(studies):
            archive.writestr(f"files/p{subject[:2]}/p{subject}/s{study}.txt", pool[number % 512])


def write_imagenome(root: Path, scale: float) -> None:
    write_mimic(root, scale / 20)
    films = list(mimic_films(round(GRAPHS * scale)))
    parts: dict[str, list[list[object]]] = {"train": [], "validate": [], "test": []}
    attributes = [["anatomicalfinding|no|lung opacity", "nlp|yes|normal"]] * 3
    folder = root / "silver_dataset"
    folder.mkdir()
    with zipfile.ZipFile(folder / "scene_graph.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for film in films:
            corners = {f"{kind}{corner}": 100 for kind in ("", "original_") for corner in ("x1", "y1")}
            corners |= {f"{kind}{corner}": 900 for kind in ("", "original_") for corner in ("x2", "y2")}
            objects = [{"object_id": f"{film.dicom}_{name}", "bbox_name": name, **corners} for name in REGIONS]
            told = [
                {name: True, "bbox_name": name, "attributes": attributes, "phrases": [SENTENCES[2]] * 3}
                for name in REGIONS
            ]
            graph = {"image_id": film.dicom, "viewpoint": "PA", "objects": objects, "attributes": told}
            archive.writestr(f"scene_graph/{film.dicom}_SceneGraph.json", json.dumps(graph))
            parts[film.split].append([film.subject, film.study, film.dicom, "PA"])
    header = ("subject_id", "study_id", "dicom_id", "ViewPosition")
    for part, name in (("train", "train"), ("validate", "valid"), ("test", "test")):
        write_table(folder / "splits" / f"{name}.csv", header, parts[part])
    write_table(folder / "splits" / "images_to_avoid.csv", ("dicom_id",), [])


def chexpert_paths(count: int, part: str = "train", first: int = 1) -> Iterator[str]:
    for number in range(count):
        patient = first + int(number / CHEXPERT_OF_PATIENT)
        direction = "frontal" if number % 5 else "lateral"
        yield f"{part}/patient{patient:05d}/study{number % 4 + 1}/view{number % 3 + 1}_{direction}"


def write_chexpert(root: Path, scale: float) -> None:
    rng, header = random.Random(0), ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *COLUMNS)
    for name, part, count, first in (
        ("train.csv", "train", CHEXPERT_FILMS, 1),
        ("valid.csv", "valid", 234, 70_001),
        ("test.csv", "test", 668, 71_001),
    ):
        paths = chexpert_paths(max(round(count * scale), 1), part, first)
        rows = ([f"CheXpert-v1.0/{path}.jpg", "Female", 60, "Frontal", "AP", *label_cells(rng)] for path in paths)
        write_table(root / name, header, rows)


def write_chexpert_plus(root: Path, scale: float) -> None:
    rng, paths = random.Random(0), list(chexpert_paths(round(CHEXPERT_FILMS * scale)))
    sections = ("section_findings", "section_impression", "section_end_of_impression")
    rows = ([f"{path}.jpg", "train", *(" ".join(rng.sample(SENTENCES, 2)) for _ in sections), "AP"] for path in paths)
    write_table(root / "df_chexpert_plus_240401.csv", ("path_to_image", "split", *sections, "ap_pa"), rows)
    (root / "chexbert_labels").mkdir()
    with (root / "chexbert_labels" / "report_fixed.json").open("w", encoding="utf-8") as file:
        for path in paths:
            labels = {name: rng.choice((None, None, 1.0, 0.0, -1.0)) for name in COLUMNS}
            file.write(json.dumps({"path_to_image": f"{path}.jpg"} | labels) + "\n")


WITHOUT_IMAGES: dict[str, Any] = {"check_images": False}
ASSUMED = WITHOUT_IMAGES | {"assumed_size": (512, 512)}
DATASETS: dict[str, tuple[Callable[[Path, float], None], dict[str, Any]]] = {
    "mimic_cxr": (write_mimic, WITHOUT_IMAGES),
    "chest_imagenome": (write_imagenome, WITHOUT_IMAGES),
    "chexpert": (write_chexpert, ASSUMED),
    "chexpert_plus": (write_chexpert_plus, ASSUMED),
}


class Measured(NamedTuple):
    """What reading every split of a dataset took; memory in bytes."""

    films: int
    left_out: int
    seconds: float
    cpu_seconds: float
    peak_memory: float


def read_all(name: str, root: str) -> Measured:
    """Read every split of a dataset; of CheXpert Plus, which has no test split, the other two."""
    started, cpu = time.perf_counter(), time.process_time()
    source, films = Source(name, root, **DATASETS[name][1]), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for split in SPLITS[: 2 if name == "chexpert_plus" else 3]:
            films += sum(1 for _ in source(split))
    left_out = sum(sum(report.skipped.values()) for report in source.reports.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Measured(films, left_out, time.perf_counter() - started, time.process_time() - cpu, peak)


def in_a_process(function: Callable[..., Any], *arguments: object) -> Any:
    """Call in a new process. Writing too: a process begins with the peak memory of the one that starts it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the row counts")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; emptied at the end")
    chosen = parser.parse_args(arguments)
    print("| dataset | films | left out | seconds | CPU seconds | films a CPU second | peak memory, GB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in chosen.datasets:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            in_a_process(DATASETS[name][0], Path(folder), chosen.scale)
            found = in_a_process(read_all, name, folder)
        print(
            f"| {name} | {found.films:,} | {found.left_out:,} | {found.seconds:.1f} | {found.cpu_seconds:.1f} "
            f"| {found.films / found.cpu_seconds:,.0f} | {found.peak_memory / 1e9:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
