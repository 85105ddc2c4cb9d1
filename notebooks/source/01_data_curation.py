# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 01 · Data curation: from radiographs to instruction pairs
#
# **Tier** laptop · **Time** about 1 minute on 2 CPU cores · **Memory** under 1 GB ·
# **Needs** the films and pairs of stage `curate`: found if `make course` has made them, made here
# otherwise (1 to 2 minutes)
#
# A language model that looks at radiographs is trained on pairs of question and answer. No
# hospital stores its films that way. What there is: image files, a table of labels, a table of
# boxes, perhaps reports, each dataset in its own layout. This notebook follows one film from the
# file to the pair, and looks for what goes wrong on the way: most of what spoils a model is
# decided here, quietly, before any training.
#
# You will be able to
#
# 1. say what a **Study**, an **Example** and a **message** are, and why they are three things;
# 2. read from a few pictures what a model could score *without looking at the film*;
# 3. convert boxes between pixels, thousandths and unit coordinates, and see a wrong one at once;
# 4. explain why splits are made by patient, and provoke the check that guards them;
# 5. say what the readers do with a broken image or a senseless box: count it, name it, go on.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline(current="curate")

# %% [markdown]
# ## By hand first: one film, one pair
#
# A **Study** is one radiograph and everything that a dataset says of it. Here is one that we
# write ourselves: an image of 1000 x 800 pixels on which somebody has drawn one box, with its
# corners in pixels.

# %%
from radvlm_course.boxes import Box
from radvlm_course.records import Study

box = Box.from_pixels(100, 200, 300, 600, size=(1000, 800))
study = Study(
    image_path="film.png",
    image_size=(1000, 800),
    patient_id="patient-7",
    study_id="patient-7-1",
    source="by hand",
    split="train",
    report="Nodule in the right mid lung. No pleural effusion.",
    findings={"nodule": 1, "pleural effusion": 0},
    abnormalities={"nodule": (box,)},
)
box

# %% [markdown]
# The box is now in **unit coordinates**: fractions of the width and of the height, counted from
# the top left corner. 100 of 1000 pixels across is 0.1; 200 of 800 pixels down is 0.25. In these
# units the box stays right when the film is resized, so the course uses no other.
#
# From a study an **Example** is built: one question, one answer, and the boxes and labels that
# the answer is about. Rewards and metrics will read those, not the text.

# %%
import random
from pprint import pp

from radvlm_course.instructions import build
from radvlm_course.records import to_dict

example = build(study, "abnormality_grounding", random.Random(0))
pp(to_dict(example), width=96, sort_dicts=False)

# %% [markdown]
# The answer says its box with two decimals; the example keeps it exact beside the text.
#
# Last come the **messages**: the form in which a chat model gets a question, with the place of
# the image marked. The answer is not among them: the model is to write it.

# %%
from radvlm_course.chat import to_messages

to_messages(example)

# %% [markdown]
# That is the whole of curation: `Study → Example → messages`. A *reader* makes the first from a
# dataset's files, the *instruction builder* the second, and training, evaluation and notebooks
# share one function for the third.
#
# ## The films of this course: phantoms
#
# The course has to run anywhere, without patients' data. So it makes its films: **PhantomCXR**, a
# program that draws chest radiographs. It places body, lungs, heart, ribs and spine, adds findings
# with a side and a severity, renders something like an X-ray from them, and writes a report. As
# the program knows where it put everything, its boxes are exact. **They are synthetic.** Nothing
# that a model does on them says anything about patients; they serve to learn the method.
#
# Here they are at 512 pixels, four times the side of what the tiny model gets: for each finding a
# film that has few others. Left on the picture is the patient's right, as on any chest film.

# %%
from radvlm_course.phantoms import FINDINGS, make_phantom
from radvlm_course.phantoms.statistics import survey

population = survey(range(100))
having = {name: [film for film in population if name in film.abnormalities] for name in FINDINGS}
chosen = [min(films, key=lambda film: len(film.abnormalities)) for films in having.values()]
films = [make_phantom(film.seed, size=512) for film in chosen]

# %%
from radvlm_course.viz import gallery
from radvlm_course.viz.pairs import labelled_boxes

named = [{name: film.abnormalities[name]} for film, name in zip(films, FINDINGS, strict=True)]
marked = [labelled_boxes(found) for found in named]
gallery(
    [film.image for film in films],
    captions=[film.report for film in films],
    truth=[boxes for boxes, _ in marked],
    truth_labels=[labels for _, labels in marked],
    width=2.75,
    max_lines=6,
)

# %% [markdown]
# Only the boxes of the finding in question are drawn; read a report and look for what else it
# says. Then mind the sizes: the tiny model gets films of 128 pixels, on which a small finding is a
# few grey dots. The same film at 512, 256, 128 and 64 pixels:

# %%
small = chosen[list(FINDINGS).index("nodule")]
sizes = (512, 256, 128, 64)
gallery(
    [make_phantom(small.seed, size=size).image for size in sizes],
    captions=[f"{size} x {size} pixels" for size in sizes],
    truth=[small.abnormalities["nodule"]] * len(sizes),
    width=2.75,
)

# %% [markdown]
# The anatomy has boxes too. Asking for structures teaches a model where things are before it has
# to say what is wrong with them, and it needs no disease: every film gives these pairs.

# %%
normal = films[0].structures
zones = {name: boxes for name, boxes in normal.items() if "zone" in name or name == "spine"}
others = {name: boxes for name, boxes in normal.items() if name not in zones}
marked = [labelled_boxes(zones), labelled_boxes(others)]
gallery(
    [films[0].image] * 2,
    truth=[boxes for boxes, _ in marked],
    truth_labels=[labels for _, labels in marked],
    columns=2,
    width=5.2,
)

# %% [markdown]
# ## The run's own films
#
# The next cell needs the stage `curate`: a run that `make course` has already made is found,
# otherwise this cell makes it, in 1 to 2 minutes. From here on, `studies` are the films on disk,
# as the reader of the phantom corpus gives them.

# %%
course.ensure("curate")
studies = {split: list(course.studies(split)) for split in ("train", "validation", "test")}
train = studies["train"]
for split, found in studies.items():
    patients = {study.patient_id for study in found}
    print(f"{split:<11}{len(found):>6} films of {len(patients):>5} patients")

# %% [markdown]
# ## Statistics, drawn: what could be scored without looking?
#
# Before training, ask of every dataset: *what would somebody get who never looks at the film?*
# Three pictures answer most of it.
#
# First, the labels. A label is 1 (present), 0 (absent) or -1 (in doubt), or it is missing. If most
# films were normal, the answer "normal" would score well.

# %%
from radvlm_course.viz.data import box_maps, box_sizes, label_bars, report_lengths

label_bars(train, "Findings of the training films")

# %% [markdown]
# Second, the places. For each finding, how many of its boxes cover each point of the film; the
# dashed outline is the mean box. Where a finding has one bright place, the mean box is often right:
# whoever gives it every time scores without looking (compare the heart with the lungs' findings).
# Where a finding has two sides, the mean lies between them, and hits nothing.

# %%
boxes = {name: [box for s in train for box in s.abnormalities.get(name, ())] for name in FINDINGS}
box_maps(boxes)

# %% [markdown]
# Third, the sizes. A prediction counts as found when its IoU with the true box is at least 0.5 (the
# IoU, *intersection over union*, is the shared area divided by the area that the two cover
# together: 0 apart, 1 equal). On a small box, a shift by a few pixels is enough to fall below, so
# small findings are hard in a way that has nothing to do with seeing them.

# %%
box_sizes(boxes, "How much of the film a box covers (logarithmic)")

# %% [markdown]
# Notebook 06 turns this worry into numbers: beside every model stand *priors*, answers made from
# the training pairs alone, and a model is worth what it scores above them.
#
# ## How a report is worded
#
# Two reports can say the same in other words, and a model that is graded on words must not be
# punished for that, nor rewarded for the opposite said in the same words. The phantoms' reports
# come from a small grammar with synonyms, changing order, denials and doubt. The same film,
# described five times:

# %%
import numpy as np

from radvlm_course.phantoms.film import plan_film
from radvlm_course.phantoms.reports import write_report

plan = plan_film(max(population, key=lambda film: len(film.abnormalities)).seed)
for number in range(5):
    print(number + 1, write_report(plan.case.lesions, np.random.default_rng(number))[0], "\n")

# %% [markdown]
# What must be equal in all five is what they affirm. A **labeller** reads that back from the
# text: pairs of finding and side. Denied findings are not among them; doubted ones are, since the
# paper reads doubt as presence.

# %%
from radvlm_course.phantoms import report_findings

for text in (
    "Small left pleural effusion.",
    "No pleural effusion.",
    "Possible mild edema.",
    "Bilateral lung nodules without pneumothorax.",
):
    print(f"{text:<46}{sorted(report_findings(text))}")

# %% [markdown]
# Reports of films with findings are longer, which a model learns early: it writes a report of the
# typical length before it writes a true one.

# %%
normal = [study.report for study in train if not study.abnormalities]
abnormal = [study.report for study in train if study.abnormalities]
report_lengths({"normal films": normal, "films with findings": abnormal})

# %% [markdown]
# ## What a label means is a decision
#
# "Possible consolidation": is it present? Papers answer this in passing, inside their code. Here
# it is an option with a name, and the default is the paper's. The same film, three answers:

# %%
from radvlm_course.instructions import BuildOptions, LabelSemantics, build_examples

doubted = next(study for study in train if -1 in study.findings.values())
print("report:", doubted.report, "\n")
for meaning in ("positive", "negative", "ignore"):
    options = BuildOptions("compact", LabelSemantics(uncertain_as=meaning))
    pairs = list(build_examples([doubted], ["abnormality_classification"], 0, options=options))
    print(f"doubt is {meaning:<9}", pairs[0].answer if pairs else "no pair: neither would be true")

# %% [markdown]
# ## One film, many pairs
#
# A film with findings gives a dozen pairs and more. The **wording** of question and answer is drawn
# from a list of templates, so that a model learns the question and not its phrasing.

# %%
from radvlm_course.viz.pairs import markdown_table, show_pairs

tasks = [
    "report_generation",
    "abnormality_classification",
    "abnormality_grounding",
    "abnormality_detection",
    "phrase_grounding",
]
rich = next(study for study in train if len(study.abnormalities) == 3)
pairs = list(build_examples([rich], tasks, seed=0))
show_pairs(rich.image_path, pairs, *labelled_boxes(rich.abnormalities))

# %% [markdown]
# There are two sets of templates. `full` is what you see above; it suits a model that already
# knows English. `compact` has one wording a task and bare answers: the tiny model has two million
# parameters and shall spend them on the film. The laptop's mixture uses `compact`.

# %%
import dataclasses

from IPython.display import Markdown

asked = dataclasses.replace(rich, abnormalities=dict([*rich.abnormalities.items()][:1]))
rows = []
for name, number in (("full", 4), ("compact", 1)):
    repeats, options = {"abnormality_grounding": number}, BuildOptions(name)
    pairs = build_examples([asked], ["abnormality_grounding"], 1, repeats, options=options)
    rows += [(name, pair.question, pair.answer) for pair in pairs]
Markdown(markdown_table(["set", "question", "answer"], rows))

# %% [markdown]
# Wordings are random, and still the same on every machine: each pair draws from a generator that
# is seeded with the pair's own identity. Reading the films in another order, or in twenty
# processes, changes nothing:

# %%
some = train[:50]
shuffled = random.Random(1).sample(some, len(some))
forwards = {pair.id: pair for pair in build_examples(some, tasks, seed=0)}
backwards = {pair.id: pair for pair in build_examples(shuffled, tasks, seed=0)}
print(len(forwards), "pairs, equal in any order:", forwards == backwards)

# %% [markdown]
# ## The mixture
#
# Left alone, the pairs would be far from balanced: each film has eighteen structures and one
# report. A **mixture** says how large a share of the pairs each task shall have. The scarcest task
# keeps all its pairs and the others are thinned, at random but repeatably. The pale bars are what
# the films could give, the full ones what the mixture keeps.

# %%
from radvlm_course.instructions import MixtureCard
from radvlm_course.viz.data import mixture_bars

card = MixtureCard.load(course.run.folder / "curate")
mixture_bars(card.examples, card.thinned, f"The mixture {card.name!r}, in numbers of pairs")

# %% [markdown]
# Beside the pairs, every build writes a **card**: what was read, what was kept, what could not be
# built and why, with which settings, and the digests of the files. A year later it tells what the
# model was trained on; and a build whose card and files match is not repeated.

# %%
digests = {split: card.sha256[f"{split}.jsonl"][:12] + "…" for split in card.examples}
rows = [(s, card.studies[s], card.patients[s], card.total(s), digests[s]) for s in digests]
Markdown(markdown_table(["split", "films", "patients", "pairs", "SHA-256 of the file"], rows))

# %%
rows = [
    (split, entry["task"].replace("_", " "), entry["reason"], entry["count"])
    for split, entries in card.skipped.items()
    for entry in entries
]
Markdown(markdown_table(["split", "task", "not built because", "pairs"], rows))

# %% [markdown]
# Nothing is wrong with those: a normal film has no finding to ask for. They are counted all the
# same, since in a delivered dataset the same line may read "present finding without boxes".
#
# ## Trap 1: splits by film
#
# Patients come back. Two films of one patient share the ribs, the heart, the pacemaker. If one is
# in training and the other in the test, the model can recognise the patient instead of reading
# the film, and the test measures memory. So splits are made by **patient**. Left: the films of
# this run, dealt out at random. Right: as they are.

# %%
from radvlm_course.viz.splits import patient_splits

pairs = [(study.patient_id, split) for split, found in studies.items() for study in found]
dealt = random.Random(0).sample([split for _, split in pairs], len(pairs))
by_film = [(patient, split) for (patient, _), split in zip(pairs, dealt, strict=True)]
patient_splits({"dealt out by film": by_film, "by patient": pairs})

# %% [markdown]
# A rule that nobody checks is a hope. Every build of a mixture remembers each patient and each
# image, and refuses to finish if one turns up in a second split. Provoke it: one training film is
# declared a test film too.

# %%
from radvlm_course.instructions import LeakError, build_mixture

reports = {"report_generation": {}}
settings = {"name": "leak", "splits": {"train": reports, "test": reports}}
smuggled = dataclasses.replace(train[0], split="test")
leaky = {"train": train[:20], "test": [*studies["test"][:20], smuggled]}
try:
    build_mixture(settings, leaky.__getitem__, "build/notebook_01/leak", seed=0, progress=False)
except LeakError as error:
    print("LeakError:", error)

# %% [markdown]
# Real leaks are not so honest. Here the same picture comes again as another file, of another
# patient: datasets that reuse each other's films do this. The names differ, the bytes do not.

# %%
import shutil

copy = shutil.copyfile(train[0].image_path, "build/notebook_01/another_name.png")
smuggled = dataclasses.replace(smuggled, image_path=str(copy), patient_id="x", study_id="x-1")
leaky["test"][-1] = smuggled
try:
    build_mixture(settings, leaky.__getitem__, "build/notebook_01/leak", seed=0, progress=False)
except LeakError as error:
    print("LeakError:", error)

# %% [markdown]
# ## Trap 2: the same four numbers in the wrong space
#
# Most bugs of grounding models are boxes in the wrong space. Datasets write pixels, as two corners
# or as corner and size; Qwen2.5-VL writes pixels of the resized image, Qwen3-VL thousandths of
# the image. All of them are four numbers, and no number says what it counts.
#
# One true box, delivered as corners in pixels of a film of 1024 x 1024, and five ways to read it.
# Solid is the truth, dashed is what was read.

# %%
size = (1024, 1024)
film = films[list(FINDINGS).index("pneumothorax")]
true_box = film.abnormalities["pneumothorax"][0]
x1, y1, x2, y2 = true_box.to_pixels(size)
as_size = [value / 1024 for value in (x1, y1, x1 + x2, y1 + y2)]
as_stored = [value / 800 for value in (x1, y1, x2, y2)]
readings = {
    "pixels of the delivered 1024 x 1024 image: right": Box.from_pixels(x1, y1, x2, y2, size),
    "thousandths of the image: nearly right": Box.from_thousandths(x1, y1, x2, y2),
    "pixels of the same film stored at 800 x 800": Box.clipped(*as_stored),
    "corner and size instead of two corners": Box.clipped(*as_size),
    "rows first, columns second": Box.from_pixels(y1, x1, y2, x2, size),
}

# %%
gallery(
    [film.image] * len(readings),
    captions=list(readings),
    truth=[[true_box]] * len(readings),
    predictions=[[box] for box in readings.values()],
    columns=3,
    width=3.2,
)

# %% [markdown]
# The second reading is the dangerous one: it moves a box by a fortieth of its distance from the
# corner, no picture looks wrong, and every score is a little too low for ever. That is why `Box`
# knows one space only and every conversion has a name. Numbers that cannot be unit coordinates are
# refused:

# %%
from radvlm_course.boxes import BoxError

for numbers in [(x1, y1, x2, y2), (0.6, 0.2, 0.4, 0.5), (0.1, 0.2, float("nan"), 0.5)]:
    try:
        Box(*numbers)
    except BoxError as error:
        print("BoxError:", error)

# %% [markdown]
# Models write boxes as text, and models write anything. The parser takes prose around a box and
# spaces inside it, and sorts out whatever is no box instead of guessing:

# %%
from radvlm_course.boxes import scan_boxes

written = [
    "The nodule is at [0.38, 0.47, 0.76, 0.62].",
    "[ .38,.47, .76,.62 ] and [0.1, 0.2, 0.3, 0.4]",
    "[380, 470, 760, 620]",
    "[0.76, 0.47, 0.38, 0.62]",
    "[0.1, 0.2, 0.3, nan]",
    "[0.1, 0.2, 0.3, 0.4, 0.5]",
    "[see above]",
]
found = [scan_boxes(text) for text in written]
rows = [(f"`{t}`", len(good), " ".join(bad)) for t, (good, bad) in zip(written, found, strict=True)]
Markdown(markdown_table(["a model wrote", "boxes", "malformed"], rows))

# %% [markdown]
# ## Real layouts, and what is broken in them
#
# A reader that has only seen tidy test rows fails on the first delivered file. So the phantoms can
# be written in the layout of real datasets: the same file names, columns and box conventions,
# down to the odd header of the NIH table of boxes. The real reader then reads real bytes.

# %%
from pathlib import Path

from radvlm_course.phantoms.layouts import write_nih_chestxray14_layout

nih = Path("build/notebook_01/nih")
shutil.rmtree(nih, ignore_errors=True)
names = write_nih_chestxray14_layout([*train[:60], *studies["test"][:30]], nih)
for table in ("Data_Entry_2017.csv", "BBox_List_2017.csv"):
    print(table, *(nih / table).read_text().splitlines()[:4], sep="\n  ")
images = sorted((nih / "images").iterdir())
print(len(images), "films in images/, the first is", images[0].name)

# %% [markdown]
# The boxes are written as corner and size, in pixels of the 1024 x 1024 images that the NIH
# released, though these films have 128 pixels: trap 2 is built into the dataset. Read back, they
# must lie where the phantom has them:

# %%
from radvlm_course.sources import Source

boxed = [study for study in Source("nih_chestxray14", nih)("test") if study.abnormalities][:4]
original = {names[study.study_id]: study for study in studies["test"][:30]}
truth = [labelled_boxes(original[study.study_id].abnormalities)[0] for study in boxed]
back = [labelled_boxes(study.abnormalities)[0] for study in boxed]
gallery([study.image_path for study in boxed], truth=truth, predictions=back, width=2.6)

# %% [markdown]
# Solid is the phantom's box, dashed the one that the reader found. Boxes without a dashed partner
# belong to findings that the NIH set has no name for, such as support devices: a layout cannot hold
# them, and the reader does not invent them.
#
# **Now break it.** One film is cut off in mid-file, as after a full disk. The table of boxes gets a
# negative width, a box beyond the film, a word instead of a number, a row that is too short, and a
# finding that the dataset does not have.

# %%
source = Source("nih_chestxray14", nih)
victim, other = [study for study in source("train")][:2]
film_file = Path(victim.image_path)
film_file.write_bytes(film_file.read_bytes()[:2000])
name = Path(other.image_path).name
bad = [
    "Effusion,700,400,-200,90",
    "Mass,1500,1500,80,80",
    "Nodule,300,none,50,50",
    "Nodule,3",
    "Gout,100,100,50,50",
]
with (nih / "BBox_List_2017.csv").open("a") as table:
    table.writelines(f"{name},{row}\n" for row in bad)

# %%
import warnings

from radvlm_course.sources import SourceWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SourceWarning)  # says what we show as a table instead
    after = list(source("train"))
report = source.reports["train"]
print(len(after), "studies read")
rows = [(reason, count, report.places[reason][0]) for reason, count in report.skipped.items()]
Markdown(markdown_table(["left out", "count", "first place"], rows))

# %% [markdown]
# One film of dozens is gone, and the reading went on; but nothing went silently. Every loss has a
# reason, a count and a place, the same lines come as a warning, and they are written on the card.
# A truncated PNG is found because every film is decoded once; many libraries would hand out the
# upper half of it with the lower half grey.
#
# It is different when the dataset as a whole cannot be meant. A table without its column is an
# error at once, and says what was expected, what was found, and where to get the real thing:

# %%
from radvlm_course.sources import SourceError

table = nih / "Data_Entry_2017.csv"
table.write_text(table.read_text().replace("Finding Labels", "Labels", 1))
try:
    source("train")
except SourceError as error:
    print("SourceError:", error)

# %% [markdown]
# The second open dataset, ChestX-Det, keeps two JSON files instead, with corners in whole pixels.
# Another layout and another reader, but the same `Study` at the end: what comes later in the
# course cannot tell them apart.

# %%
from radvlm_course.phantoms.layouts import write_chestx_det_layout

det = Path("build/notebook_01/chestx_det")
shutil.rmtree(det, ignore_errors=True)
write_chestx_det_layout(studies["test"][:30], det)
print((det / "ChestX_Det_test.json").read_text()[:230], "…\n")
same = next(s for s in Source("chestx_det", det)("test") if s.abnormalities)
pp(to_dict(same)["abnormalities"])

# %% [markdown]
# ## Real films, if you have some
#
# The same readers read the real sets. NIH ChestX-ray14 is open: put it (or a part of it: the two
# tables and some images) into a folder and start Jupyter with `RADVLM_COURSE_NIH_ROOT` set to that
# folder. The next cell then draws the annotators' boxes; without the folder it says so and goes on.

# %%
import os

from IPython.display import display

root = os.environ.get("RADVLM_COURSE_NIH_ROOT")
warnings.simplefilter("ignore", SourceWarning)  # a part of the set lacks most of its images
readable = Source("nih_chestxray14", root)("test") if root else []
real = [study for study in readable if study.abnormalities][:8]
if real:
    truth = [labelled_boxes(study.abnormalities) for study in real]
    boxes, labels = [found for found, _ in truth], [names for _, names in truth]
    display(gallery([s.image_path for s in real], truth=boxes, truth_labels=labels, width=2.7))
else:
    print("no folder with real films was given: set RADVLM_COURSE_NIH_ROOT to see some here")

# %% [markdown]
# The whole method runs on them as well, from a terminal:
#
# ```
# python -m radvlm_course run --source nih_chestxray14 --root FOLDER --run real
# ```
#
# Their labels were mined from reports (about one in ten is wrong) and their boxes are few: a film
# without a box is not a normal film. The reader's docstring says so, with licence and citation:
# `radvlm_course.sources.nih_chestxray14`.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell; a wrong answer gets a hint.
#
# **01.1** The NIH table has this row: x = 256, y = 192, width = 512, height = 384. Make the `Box`.

# %%
from radvlm_course.exercises import check

answer = ...
check("01.1", answer)

# %% [markdown]
# **01.2** Write `leaking_patients(train, test)`: given two lists of studies, the set of pairs
# `(source, patient_id)` that stand in both. (Why not `patient_id` alone?)

# %%
leaking_patients = ...
check("01.2", leaking_patients)

# %% [markdown]
# **01.3** The films give 700 pairs of `report_generation`, 1,500 of `abnormality_grounding` and
# 12,000 of `anatomical_grounding`. The wanted shares are 35%, 50% and 15%. How many pairs of each
# does the mixture keep? Answer with a dictionary: task -> number.

# %%
sizes = ...
check("01.3", sizes)

# %% [markdown]
# ## What to take along
#
# - `Study → Example → messages`: one function for each arrow; boxes in unit coordinates only.
# - Draw labels, places and sizes before training: they show what can be scored without looking.
# - What a label means, and how tasks are mixed, are decisions; write them down (the card does).
# - Split by patient, and let a check refuse anything else, also copies under other names.
# - A wrong coordinate space can look almost right. Name every conversion.
# - Bad films and boxes are counted with reason and place; a missing column stops everything.
#
# **Next:** [02 · Supervised fine-tuning](02_supervised_fine_tuning.ipynb) teaches these pairs to a
# model.
