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
# otherwise (1 to 2 minutes); the package's extra `data` (`make setup` installs it).
# No credentials: real datasets are read if you have some (last section)
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
# 2. say which dataset holds what, and which task it can therefore teach;
# 3. read from a few pictures what a model could score *without looking at the film*;
# 4. convert boxes between pixels, thousandths and unit coordinates, and see a wrong one at once;
# 5. explain why splits are made by patient, how two datasets leak into each other, and provoke the
#    check that guards both;
# 6. recognise five more traps: doubt, squashed films, inverted films, three readers, and reports
#    that speak of a film which the model never sees;
# 7. say what the readers do with a broken image or a senseless box: count it, name it, go on.
#
# It stands second of the course: notebook 00 showed the whole road, here its first stage is made,
# and notebook 02 trains on what comes out.

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
# ## The datasets: one film, told twelve times
#
# The method mixes seven datasets for which one must sign an agreement: MIMIC-CXR, CheXpert and
# CheXpert Plus, Chest ImaGenome, MS-CXR, VinDr-CXR, PadChest-GR. Five more are open: NIH
# ChestX-ray14, ChestX-Det, RSNA pneumonia, Open-i, TBX11K. Each has its own files, names and boxes,
# and the course has a reader for each of them.
#
# None is needed here. The phantoms can be written **in the layout of every one of them**: the same
# file names, columns and encodings, DICOM and JPEG included. The real readers then read real bytes.
# The next cell makes fourteen films, writes them twelve times, and looks at what lies on the disk.

# %%
import shutil
from pathlib import Path

from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.phantoms.layouts_all import write_all_layouts
from radvlm_course.sources import Source

workshop = Path("build/notebook_01")
shutil.rmtree(workshop, ignore_errors=True)
patients = {"train": 5, "validation": 2, "test": 2}
corpus = write_corpus(workshop / "phantom", patients, size=256, seed=16, progress=False)
phantom = Source("phantom", corpus)
originals = [study for split in patients for study in phantom(split)]
names = write_all_layouts(originals, workshop / "layouts")
for name in names:
    folder = workshop / "layouts" / name
    print(f"{name:<16}", *sorted(f"{p.name}/" if p.is_dir() else p.name for p in folder.iterdir()))

# %% [markdown]
# `find_sources` gives a reader for every sub-folder that is named like a dataset. Reading is the
# same for all: a split goes in, studies come out.

# %%
import warnings

from radvlm_course.sources import SourceWarning
from radvlm_course.sources.folders import find_sources

warnings.simplefilter("ignore", SourceWarning)  # what a reader left out is shown as a table below
sources = find_sources(workshop / "layouts")
told = {name: [s for split in patients for s in source(split)] for name, source in sources.items()}

# %% [markdown]
# What does each of them hold? The first row is what the program that drew the films knows; an empty
# cell means that a dataset has no such thing. No dataset has everything, and that is why the method
# needs seven: reports from one, boxes from another, phrases with boxes from a third.

# %%
from radvlm_course.viz.datasets import contents, count_matrix

rows = {"(the truth)": originals} | told
count_matrix({name: contents(found) for name, found in rows.items()}, "Fourteen films in each layout")

# %% [markdown]
# Two numbers are worth a second look. VinDr-CXR, Open-i and TBX11K do not say which films are of one
# patient, so every film counts as a patient. And NIH has far more *labels* than MS-CXR has for the
# same films: it says of each finding whether it is there, MS-CXR only names what is there.
#
# The same film, as each dataset tells it. Boxes are those of findings; Chest ImaGenome has none,
# so its anatomical regions are drawn. The caption says what is left of the film besides.

# %%
from radvlm_course.viz.datasets import in_words

one = max((s for s in originals if s.split == "train"), key=lambda s: len(s.abnormalities))
seen = [s for n, found in told.items() for s in found if s.study_id == names[n].get(one.study_id)]
shown = [list(labelled_boxes(s.abnormalities or s.structures)) for s in seen]
gallery(
    [study.image_path for study in seen],
    captions=[in_words(study) for study in seen],
    truth=[boxes for boxes, _ in shown],
    truth_labels=[labels if len(labels) < 12 else [""] * len(labels) for _, labels in shown],
    width=2.75,
    max_lines=7,
)

# %% [markdown]
# CheXpert keeps the labels and loses the places. RSNA knows one finding. TBX11K knows nothing but
# tuberculosis, so the phantom's opacities stand there under the nearest name. ChestX-Det has no word
# for edema: nothing says that this film has any. A film that is normal in one dataset need not be
# normal in another: **absent** and **not asked** are different things.
#
# The labels of all fourteen films, side by side: how many films have the finding, and after a plus
# how many have it in doubt. An empty cell: the dataset never speaks of it.

# %%
from radvlm_course.viz.datasets import label_matrix

label_matrix({"(the truth)": originals} | told, "The same films, in the words of each dataset")

# %% [markdown]
# The doubt of the first row reaches the datasets whose labels were mined from reports: MIMIC-CXR,
# CheXpert, CheXpert Plus. The others have no sign for it and say "present". A nodule is a "lung
# lesion" here, "nodule/mass" there. Words are not made equal by the readers: that would be a guess.
#
# Splits, views and report lengths of the same films:

# %%
from collections import Counter
from statistics import median

from IPython.display import Markdown

from radvlm_course.viz.pairs import markdown_table

rows = []
for name, found in told.items():
    splits, views = Counter(s.split for s in found), Counter(s.view or "unknown" for s in found)
    words = [len(s.report.split()) for s in found if s.report]
    said = ", ".join(f"{view} {count}" for view, count in views.items())
    typical = f"{median(words):.0f}" if words else ""
    rows.append((name, *(splits[part] for part in patients), said, typical))
Markdown(markdown_table(["dataset", *patients, "views", "median words of a report"], rows))

# %% [markdown]
# Nine patients were dealt out 5 : 2 : 2. MIMIC-CXR, CheXpert and PadChest-GR bring all three splits,
# so theirs come back as they were (CheXpert Plus has no test split). Others bring two or none: there
# the reader draws what is missing, by patient, from a seeded hash. MS-CXR lacks the films on which
# there is no phrase to point at.
#
# ### From a file to a field: a report
#
# A MIMIC-CXR report is a page of text. What a model is to write is a part of it: the findings, or if
# there are none the impression. The page on the disk, and what the reader makes of it:

# %%
pages = sorted((workshop / "layouts" / "mimic_cxr" / "files").rglob("s*.txt"))
page = next(path for path in pages if "WET READ" in path.read_text())
print(page.read_text())
study = next(s for s in told["mimic_cxr"] if page.stem[1:] in s.study_id)
print("Study.report:", study.report)

# %% [markdown]
# The preliminary reading above "FINAL REPORT" and the indication are left out, and the reader counts
# how often it had to choose:

# %%
noted = Counter()
for split_report in sources["mimic_cxr"].reports.values():
    noted.update(split_report.noted)
Markdown(markdown_table(["noted by the reader of MIMIC-CXR", "films"], noted.items()))

# %% [markdown]
# ### Three readers, one truth
#
# Each training film of VinDr-CXR was read by three radiologists, and they did not draw the same
# boxes. The first and third picture show what they drew, the second and fourth what *weighted boxes
# fusion* makes of it: boxes that overlap enough (by the paper's threshold, 0.1) become one, at their
# mean. Where one reader has overlooked something, the fused box rests on fewer.

# %%
import csv

from radvlm_course.boxes import Box

table = workshop / "layouts" / "vindr_cxr" / "annotations" / "annotations_train.csv"
drawn = [row for row in csv.DictReader(table.open()) if row["x_min"]]
corners = ("x_min", "y_min", "x_max", "y_max")
panels = []
for study in [s for s in told["vindr_cxr"] if s.abnormalities and s.split != "test"][:2]:
    lines = [row for row in drawn if row["image_id"] == study.study_id]
    raw = [Box.from_pixels(*(float(row[c]) for c in corners), study.image_size) for row in lines]
    fused = labelled_boxes(study.abnormalities)[0]
    panels += [(study.image_path, raw, f"{len(raw)} boxes of three readers")]
    panels += [(study.image_path, fused, f"{len(fused)} boxes after fusion")]
gallery([p[0] for p in panels], [p[2] for p in panels], [p[1] for p in panels], width=2.75)

# %% [markdown]
# ## What a label means is a decision
#
# "Possible consolidation": is it present? Papers answer this in passing, inside their code. Here
# it is an option with a name, and the default is the paper's. The same film, three answers:

# %%
import dataclasses

from radvlm_course.instructions import BuildOptions, BuildWarning, LabelSemantics, build_examples

doubted = next(study for study in train if -1 in study.findings.values())
print("report:", doubted.report, "\n")
for meaning in ("positive", "negative", "ignore"):
    options = BuildOptions("compact", LabelSemantics(uncertain_as=meaning))
    pairs = list(build_examples([doubted], ["abnormality_classification"], 0, options=options))
    print(f"doubt is {meaning:<9}", pairs[0].answer if pairs else "no pair: neither would be true")

# %% [markdown]
# What does that do to a whole dataset? 300 training films; every tenth is stripped of its labels,
# as the films that a labeller could not read. The phantoms know what is really there, so the false
# answers can be counted. (On a phantom a doubted finding is there; its report only hesitates.)

# %%
warnings.simplefilter("ignore", BuildWarning)  # what gives no pair is counted below
films_asked = train[:300]
blank = {s.study_id for s in films_asked[::10]}
emptied = {"findings": {}, "abnormalities": {}}
asked = [dataclasses.replace(s, **emptied) if s.study_id in blank else s for s in films_asked]
abnormal = {s.study_id for s in films_asked if any(s.findings.values())}
choices = {
    "doubt present, blank normal (the paper)": LabelSemantics(),
    "doubt absent, blank normal": LabelSemantics(uncertain_as="negative"),
    "doubt left out, blank normal": LabelSemantics(uncertain_as="ignore"),
    "doubt left out, blank left out": LabelSemantics("ignore", "skip"),
}
outcomes = {}
for name, meaning in choices.items():
    options = BuildOptions("compact", meaning)
    built = build_examples(asked, ["abnormality_classification"], 0, options=options)
    answers = {e.study_id: "names a finding" if e.labels else "says normal" for e in built}
    false = {key for key, said in answers.items() if said == "says normal" and key in abnormal}
    counts = Counter("says normal, falsely" if key in false else said for key, said in answers.items())
    order = ("names a finding", "says normal, falsely", "says normal")
    outcomes[name] = {key: counts[key] for key in order} | {"no pair": len(asked) - len(answers)}

# %%
from radvlm_course.viz.datasets import stacked_bars

stacked_bars(outcomes, "films", "What 300 films answer, by what their labels are taken to mean")

# %% [markdown]
# No choice is free. The paper's teaches that a film without labels is normal; leaving doubt out
# loses films. What matters is that the choice has a name, stands in the mixture's settings, and is
# written on its card.

# %% [markdown]
# ## One film, many pairs
#
# A film with findings gives a dozen pairs and more. The **wording** of question and answer is drawn
# from a list of templates, so that a model learns the question and not its phrasing.

# %%
from radvlm_course.viz.pairs import show_pairs

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
# Which tasks a film can teach depends on what its dataset holds. The pairs that each of the twelve
# layouts gives for the fourteen films:

# %%
from radvlm_course.records import TASKS

from_studies = [task for task in TASKS if "conversation" not in task]
pairs = {
    name: Counter(e.task.replace("_", " ") for e in build_examples(found, from_studies, seed=0))
    for name, found in told.items()
}
columns = [task.replace("_", " ") for task in from_studies]
count_matrix(pairs, "Pairs by dataset and task", columns)

# %% [markdown]
# Look at the row of Chest ImaGenome. It holds no label at all, and yet gives classification and
# detection pairs for every film: by the paper's default, a film without labels is *normal*. Every one
# of these answers may be false. So a mixture names tasks **and** datasets, and asks Chest ImaGenome
# for anatomy only. Mind also the few detection pairs of MIMIC-CXR and CheXpert: these sets have no
# boxes, so films with findings give no pair, and what is left always says "nothing to box".
#
# The two tasks that are missing here, conversations, are written by a language model from report
# and boxes, on a machine that the data may stay on: `radvlm_course.language`.

# %% [markdown]
# There are two sets of templates. `full` worded the pairs beside the film above; it suits a model that
# already knows English. `compact` has one wording a task and bare answers: the tiny model has two million
# parameters and shall spend them on the film. The laptop's mixture uses `compact`.

# %%
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
# ### The real one: 1,115,021 pairs
#
# The same code builds the instruction set of the paper, from the file
# `configs/mixtures/radvlm.yaml`. It lists a task, a dataset and how often its pairs are repeated.
# The picture needs no data: the counts are the paper's, and stand in the file.

# %%
from radvlm_course.instructions import load_mixture
from radvlm_course.viz.datasets import paper_pairs

radvlm = load_mixture("radvlm")
real_pairs = paper_pairs(radvlm, "train")
total = sum(sum(by_dataset.values()) for by_dataset in real_pairs.values())
stacked_bars(real_pairs, "training pairs", f"The mixture 'radvlm': {total:,} pairs by task and dataset")

# %% [markdown]
# Three quarters of it are reports and classification from two hospitals. Everything that has a box
# is about a sixth, and pairs that say where a *finding* is are fewer still, although the small sets
# are already repeated:

# %%
repeated = [entry for entry in radvlm.entries("train") if entry.repeat > 1]
rows = [(entry.source, entry.task.replace("_", " "), entry.repeat) for entry in repeated]
Markdown(markdown_table(["dataset", "task", "pairs from each target"], rows))

# %% [markdown]
# Each repeat is worded anew, so the model sees the film again but not the sentence. `docs/mixtures.md`
# gives the command that builds it, smaller versions, and a mixture of the open sets alone.

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
copy = shutil.copyfile(train[0].image_path, "build/notebook_01/another_name.png")
smuggled = dataclasses.replace(smuggled, image_path=str(copy), patient_id="x", study_id="x-1")
leaky["test"][-1] = smuggled
try:
    build_mixture(settings, leaky.__getitem__, "build/notebook_01/leak", seed=0, progress=False)
except LeakError as error:
    print("LeakError:", error)

# %% [markdown]
# ## Trap 2: two datasets, one film
#
# Each dataset's own split can be perfect and the mixture still leak. Chest ImaGenome annotates films
# of MIMIC-CXR, and drew its splits anew: films on which it tests stand in MIMIC-CXR's *train* split.
# The published mixture trains reports on them. We rebuild that situation: two training patients of
# our MIMIC-CXR become test patients of our Chest ImaGenome.

# %%
from radvlm_course.phantoms.layouts_mimic import write_chest_imagenome_layout
from radvlm_course.viz.datasets import split_crossing

folder = workshop / "layouts" / "chest_imagenome"
shutil.rmtree(folder)
moved = sorted({s.patient_id for s in originals if s.split == "train"})[:2]
write_chest_imagenome_layout(originals, folder, lambda s: "test" if s.patient_id in moved else s.split)
mimic = {s.study_id: s.split for s in told["mimic_cxr"]}
genome = {s.study_id: s.split for part in patients for s in sources["chest_imagenome"](part)}
shared = [(mimic[key], genome[key]) for key in genome if key in mimic]
split_crossing(shared, ("MIMIC-CXR", "Chest ImaGenome"), "Films that both datasets hold")

# %% [markdown]
# A mixture compares patients and films *across* datasets that name them alike, and leaves out of
# training what any test holds. It can be told to `allow` the leak, to compare with the published
# model; then the card says how much there is.

# %%
settings = {
    "name": "two_datasets",
    "image_check": "path",
    "splits": {
        "train": [{"task": "report_generation", "source": "mimic_cxr"}],
        "test": [{"task": "anatomical_grounding", "source": "chest_imagenome", "targets": "one"}],
    },
}
both = {name: sources[name] for name in ("mimic_cxr", "chest_imagenome")}
rows = []
for choice in ("allow", "leave_out"):
    asked = settings | {"cross_source_leaks": choice}
    card = build_mixture(asked, both, workshop / f"crossing_{choice}", seed=0, progress=False)
    leaks = [f"{count} x {kind}" for every in card.overlaps.values() for kind, count in every.items()]
    said = ", ".join(leak for leak in leaks if not leak.startswith("0")) or "nothing"
    rows.append((choice, card.total("train"), card.total("test"), said))
Markdown(markdown_table(["cross_source_leaks", "train pairs", "test pairs", "in train and test"], rows))

# %% [markdown]
# ## Trap 3: the same four numbers in the wrong space
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
# ## Trap 4: squashed films
#
# A model wants its picture in a certain shape, and films have others. Two ways: **squash** the film
# to a square, or **pad** it. The published preparation squashes VinDr-CXR to 512 x 512. Is that
# harmful? Here is a film of 256 x 200 pixels, cut from a phantom, with the box of its heart. Solid is
# where the heart is, dashed what one gets from the numbers of the caption.

# %%
from PIL import Image

whole = originals[0]
left, top, right, bottom = whole.structures["heart"][0].to_pixels(whole.image_size)
wide = Image.open(whole.image_path).crop((0, 40, 256, 240))  # 40 rows off the top, 16 off the bottom
heart = Box.from_pixels(left, top - 40, right, min(bottom - 40, 200), wide.size)
square = wide.resize((256, 256))
padded = Image.new("L", (256, 256))
padded.paste(wide, (0, 28))
pixels = heart.to_pixels(wide.size)
on_padded = Box.from_pixels(pixels[0], pixels[1] + 28, pixels[2], pixels[3] + 28, padded.size)
views = {
    "as delivered, 256 x 200": (wide, heart, heart),
    "squashed: unit coordinates are still right": (square, heart, heart),
    "squashed: the old pixels on the new film": (square, heart, Box.from_pixels(*pixels, square.size)),
    "padded: unit coordinates of the old film": (padded, on_padded, heart),
}

# %%
gallery(
    [film for film, _, _ in views.values()],
    captions=list(views),
    truth=[[right_box] for _, right_box, _ in views.values()],
    predictions=[[read_box] for _, _, read_box in views.values()],
    width=2.75,
)

# %% [markdown]
# Squashing does no harm to boxes in unit coordinates, and padding does: there every box has to be
# moved along with the film. What squashing changes is the *shape* of things: a round nodule becomes
# an oval, and the heart of this film grows tall and slim:

# %%
for name, size in (("delivered", wide.size), ("squashed", square.size)):
    x1, y1, x2, y2 = heart.to_pixels(size)
    ratio = (x2 - x1) / (y2 - y1)
    print(f"{name:<10} heart {x2 - x1:.0f} x {y2 - y1:.0f} pixels, width over height {ratio:.2f}")

# %% [markdown]
# The ratio of the heart's width to the chest's, by which cardiomegaly is judged, survives, since both
# are widths. Whatever you do, do the same in training and in the test, and keep the original size
# beside the image: `Study.image_size` is always the original's.
#
# ## Trap 5: films in DICOM
#
# The numbers in a DICOM file are not grey values. Its header says how to make them: a *window* of
# values to be shown, and whether low numbers are black (`MONOCHROME2`) or white (`MONOCHROME1`).
# One film, written as `MONOCHROME1`; and once more with a window that was meant for CT of the lung,
# as a delivered film of another collection really has it.

# %%
import numpy as np
import pydicom

from radvlm_course.dicom import read_film
from radvlm_course.phantoms.dicom_files import write_dicom

write_dicom(workshop / "film.dcm", np.asarray(Image.open(one.image_path).convert("L")), inverted=True)
header = pydicom.dcmread(workshop / "film.dcm")
stored = header.pixel_array
header.WindowCenter, header.WindowWidth = -600, 1500
header.save_as(workshop / "window.dcm")
cut_off = 1 - np.clip((stored + 600 + 750) / 1500, 0, 1)  # the window from -1350 to 150, then inverted
repaired = read_film(workshop / "window.dcm")
print(stored.dtype, "values from", stored.min(), "to", stored.max(), "|", *repaired.remarks)

# %%
gallery(
    [stored, cut_off, repaired.pixels, read_film(workshop / "film.dcm").pixels],
    captions=[
        "stored numbers as grey: a negative",
        "the header believed: a window for CT",
        "window recognised as senseless, and replaced",
        "the film as it should be: read_film",
    ],
    width=2.75,
)

# %% [markdown]
# A model that is trained on the first picture and tested on the last sees air where bone is. Only a
# look finds that, since nothing fails. `read_film` inverts by the header and judges a window by what
# it does to the histogram: one that turns more than half of the film to plain black or white is
# replaced, and the replacement is counted. `data_scripts/dicom_to_image.py` does it for a folder.
#
# ## Trap 6: the film before
#
# Radiologists compare: *unchanged*, *increased*, *no longer seen*. A model that gets one film cannot
# know any of that, and, trained on such sentences, learns to make the earlier film up. So the
# method has its reports rewritten by a language model, and here a check stands behind it: rules for
# the ways in which a sentence refers to an earlier study. Our own sentences, and what the rules say:

# %%
from radvlm_course.viz.priors import mark_priors

mark_priors(
    [
        "The left pleural effusion has increased since the previous study.",
        "Small left pleural effusion.",
        "Interval removal of the endotracheal tube.",
        "The heart size is unchanged.",
        "Consolidation is worse on the left than on the right.",
        "Calcified nodule from prior granulomatous disease.",
        "No new focal consolidation.",
    ]
)

# %% [markdown]
# The rules know innocent senses: *worse on the left* compares sides, *prior granulomatous disease*
# is seen on one film. And *no new consolidation* is marked although it sounds harmless: it must not
# become "no consolidation", since an old one may be there. Phantoms' reports have no past; on
# a real set, the last section counts the share of reports that do.
#
# ## Trap 7: what is broken in delivered files
#
# A reader that has only seen tidy test rows fails on the first delivered file. Take the NIH layout.
# Its table of boxes has an odd header, and corner and size in pixels of the 1024 x 1024 images that
# the NIH released, though these films have 256 pixels: trap 3 is built into the dataset.

# %%
nih = workshop / "layouts" / "nih_chestxray14"
for table in ("Data_Entry_2017.csv", "BBox_List_2017.csv"):
    print(table, *(nih / table).read_text().splitlines()[:4], sep="\n  ")

# %% [markdown]
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
after = list(source("train"))
report = source.reports["train"]
print(len(after), "studies read")
rows = [(reason, count, report.places[reason][0]) for reason, count in report.skipped.items()]
Markdown(markdown_table(["left out", "count", "first place"], rows))

# %% [markdown]
# One film is gone, and the reading went on; but nothing went silently. Every loss has a
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
# ## Real films, if you have some
#
# The same readers read the real sets. Put what you have into one folder, a sub-folder for each
# dataset, named as in the tables above (`mimic_cxr`, `nih_chestxray14`, ...), and start Jupyter with
# `RADVLM_COURSE_DATA` set to that folder. NIH ChestX-ray14, ChestX-Det, RSNA, Open-i and TBX11K are
# open (`data_scripts/download.py` fetches them, `--sample N` a first look); a part of a set is
# enough. Each reader's docstring says which files it wants, under which licence and how to cite:
# `radvlm_course.sources.nih_chestxray14`.
#
# Credentialed films stay on your machine; so must a notebook that shows them. Clear the
# outputs before you pass it on. The next cells read the first 2,000 films of each test split; without
# a folder they say so and go on.

# %%
import itertools
import os

from IPython.display import display

root = os.environ.get("RADVLM_COURSE_DATA")
real = {}
for name, source in (find_sources(root) if root else {}).items():
    unchecked = {"check_images": False} if source.has_option("check_images") else {}
    try:
        real[name] = list(itertools.islice(source("test", **unchecked), 2000))
    except SourceError as error:  # one set that is not as delivered does not hide the others
        print("SourceError:", error)
real = {name: found for name, found in real.items() if found}
if real:
    display(count_matrix({name: contents(found) for name, found in real.items()}, "Your datasets"))
else:
    print("no real films: set RADVLM_COURSE_DATA to a folder with a sub-folder for each dataset")

# %%
for found in real.values():
    here = [s for s in found if Path(s.image_path).is_file()]
    chosen = ([s for s in here if s.abnormalities] or here)[:4]
    truth = [labelled_boxes(s.abnormalities) for s in chosen]
    if chosen:
        boxes, labels = [every for every, _ in truth], [every for _, every in truth]
        captions = [in_words(s) for s in chosen]
        paths = [s.image_path for s in chosen]
        display(gallery(paths, captions, boxes, truth_labels=labels, width=2.7))

# %%
from radvlm_course.language.priors import find_prior_references

with_reports = {name: [s.report for s in found if s.report] for name, found in real.items()}
with_reports = {name: texts for name, texts in with_reports.items() if texts}
if with_reports:
    display(report_lengths(with_reports, "Words of your reports"))
for name, texts in with_reports.items():
    share = sum(bool(find_prior_references(text)) for text in texts) / len(texts)
    print(f"{name}: {share:.0%} of {len(texts)} reports refer to an earlier study")
if any(found[0].findings for found in real.values()):
    display(label_matrix(real, "Labels of your films"))

# %% [markdown]
# The whole method runs on them as well, from a terminal:
#
# ```
# python -m radvlm_course run --source nih_chestxray14 --root FOLDER --run real
# ```
#
# The labels of the NIH set were mined from reports (about one in ten is wrong) and its boxes are
# few: a film without a box is not a normal film. Its reader says so.

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
# - No dataset holds everything. *Absent* and *not asked* are different; a mixture names tasks **and**
#   datasets.
# - Draw labels, places and sizes before training: they show what can be scored without looking.
# - What a label means, and how tasks are mixed, are decisions; write them down (the card does).
# - Split by patient, compare across datasets too, and let a check refuse anything else.
# - A wrong coordinate space can look almost right. Name every conversion. Squashing spares unit
#   boxes; padding moves them.
# - Look at converted films: a negative, or a window for another organ, raises no error.
# - One film has no past: find the sentences that speak of an earlier one.
# - Bad films and boxes are counted with reason and place; a missing column stops everything.
#
# **Next:** [02 · Supervised fine-tuning](02_supervised_fine_tuning.ipynb) teaches these pairs to a
# model.
