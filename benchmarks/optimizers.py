"""What Muon is worth to the tiny vision tower: AdamW for everything, against Muon for the hidden matrices.

    python benchmarks/optimizers.py --run course --steps 1000

The same untrained tower on the same films for the same number of steps, one seed. The losses are those of the last
logged steps; ``ranking`` is what a linear reader of the visual tokens finds on held-out films, averaged over the
findings (0.5 is guessing, 1 is perfect; higher is better); ``time`` is a ratio to AdamW in the same run.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

from radvlm_course.models.loading import LoadedModel, load_model
from radvlm_course.phantoms import FINDINGS
from radvlm_course.records import Study
from radvlm_course.stages import open_course
from radvlm_course.training.vision_pretraining import VisionPretrainingSettings, pretrain_vision
from radvlm_course.training.vision_probe import probe_vision, untrained_twin


def mean_ranking(loaded: LoadedModel, train: list[Study], held_out: list[Study]) -> float:
    return statistics.mean(probe_vision(loaded, train[:600], held_out, finding).ranking for finding in FINDINGS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="course")
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    course = open_course(name=arguments.run, progress=False)
    train, held_out = list(course.studies("train")), list(course.studies("validation"))
    profile = dataclasses.asdict(course.profile.vision_pretraining) | {"steps": arguments.steps}
    base = load_model(course.run.model_folder("base"))
    seconds: dict[str, float] = {}
    print("| optimizer | cover loss | box loss | ranking | time |\n| --- | ---: | ---: | ---: | ---: |")
    for name, muon in (("AdamW", None), ("Muon and AdamW", profile["muon_learning_rate"])):
        loaded = untrained_twin(base)
        rows: list[dict[str, float]] = []
        start = time.perf_counter()
        settings = VisionPretrainingSettings(**profile | {"muon_learning_rate": muon})
        pretrain_vision(loaded.model, loaded.processor, train, settings, course.profile.seed, rows.append)
        seconds[name] = time.perf_counter() - start
        cover, box = (statistics.mean(row[key] for row in rows[-5:]) for key in ("cover_loss", "box_loss"))
        ranking = mean_ranking(loaded, train, held_out)
        print(
            f"| {name} | {cover:.3f} | {box:.4f} | {ranking:.3f} | {seconds[name] / seconds['AdamW']:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
