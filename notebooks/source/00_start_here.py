# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 00 · Start here
#
# **Tier** laptop · **Time** about 1 minute on 2 CPU cores · **Memory** about 1 GB ·
# **Needs** the finished run of `make course`; without it the cell in section 5 makes it (about 25
# minutes), and everything before that works at once
#
# This course teaches one method from end to end: how to make a **vision-language model**, a
# language model that also looks at pictures, better at reading chest radiographs, first by
# imitation, then by **reinforcement learning**. The method is that of *RadVLM-GRPO* (arXiv
# 2512.10691). On a laptop it runs with a tiny model on synthetic films; on a cluster the same code
# runs with a large one on real data.
#
# After this notebook you can
#
# 1. name the stages of the method and say what each one adds;
# 2. say what a film, a report, a box and a reward are;
# 3. work out the reward of an answer, and say why a *group* of answers is needed to learn from it;
# 4. say what your machine can run;
# 5. read the table of results of the run, with its baselines and intervals.
#
# **For research and teaching only.** The films here are synthetic, and nothing in this course is
# fit for the diagnosis of patients.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %% [markdown]
# ## 1. The method in one picture

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline()

# %% [markdown]
# - **Curate**: radiographs with their reports, labels and boxes become questions with answers.
# - **SFT**, *supervised fine-tuning*: a base model learns to imitate those answers, word by word.
# - **GRPO**, *group relative policy optimisation*: the model answers each question several times;
#   a **reward** grades the answers; those that beat the average of their group become more likely.
#   It needs no better teacher, only a way to grade.
# - **Evaluate**: every model answers the same questions about patients that it has never seen.
#
# Why the second step, when the first has seen all the answers? Imitation grades every word alike.
# In `[0.38, 0.47, 0.76, 0.62]` the digits are just tokens: 0.39 is as wrong as 0.93. A reward can
# grade what we care about, the place on the film. *Cold start*, learning to think before answering,
# is an optional step between the two.
#
# ## 2. A film, its boxes and its report
#
# The laptop's films are **phantoms**: chest radiographs drawn by a program, which therefore knows
# exactly where everything is. Left on the picture is the patient's right. A **box** is four numbers
# from 0 to 1, `x1, y1, x2, y2`: fractions of width and height, counted from the top left corner.

# %%
from radvlm_course.phantoms import make_phantom
from radvlm_course.viz.pairs import labelled_boxes, show_report

phantom = make_phantom(seed=7, size=512)
show_report(phantom.image, phantom.report, *labelled_boxes(phantom.abnormalities))

# %% [markdown]
# Of such a film a model is asked two kinds of questions: *Write a report.* and *Where is the
# pneumothorax?* The answer to the first is text, the answer to the second a box, written as text.
#
# ## 3. How good is an answer? The reward
#
# For boxes the reward is **soft-F1**. Each predicted box is matched with a true one, and the pair
# counts as much as it overlaps: the **IoU** is the shared area divided by the area that the two
# cover together, from 0 (apart) to 1 (equal). Stray and missing boxes count in the denominator:
#
# $$\text{soft-F1} = \frac{2 \cdot \text{summed IoU}}{\text{predicted boxes} + \text{true boxes}}$$
#
# In JupyterLab the next picture has sliders: move the dashed box over the solid one.

# %%
from radvlm_course.viz import BoxExplorer

finding = next(iter(phantom.abnormalities))
truth = list(phantom.abnormalities[finding])
BoxExplorer(phantom.image, truth)

# %% [markdown]
# The package's reward reads the answer as the model wrote it. The same question, five answers; the
# first is the true box as it can be written, with two decimals:

# %%
from IPython.display import Markdown

from radvlm_course.boxes import format_boxes
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.viz.pairs import markdown_table

example = Example("tour", "abnormality_grounding", "", f"Where is the {finding}?", "", tuple(truth))
answers = [
    format_boxes(truth),
    f"It is at {format_boxes(truth)}, and maybe at [0.05, 0.05, 0.15, 0.15].",
    "[0.30, 0.30, 0.60, 0.60]",
    "[0.30, 0.30, 0.60]",
    "I see nothing.",
]
rewards = get_reward("soft_f1")(answers, [example] * len(answers))
rows = [(text, f"{reward:.2f}") for text, reward in zip(answers, rewards, strict=True)]
Markdown(markdown_table(["answer", "reward"], rows))

# %% [markdown]
# ## 4. From rewards to learning
#
# A reward of 0.4 says little: is that good for this film? GRPO answers by comparison. The model
# answers the same question several times; each answer's **advantage** is its reward minus the mean
# of the group, divided by the group's standard deviation. What is better than its own group becomes
# more likely, what is worse less likely. A group whose answers all earn the same teaches nothing.

# %%
from radvlm_course.viz import draw_grpo_idea

draw_grpo_idea([*answers[:3], answers[4]], truth, example.question, phantom.image)

# %% [markdown]
# That is the whole idea; notebooks 04 and 05 take it apart to the last term of the loss.
#
# ## 5. The run
#
# Now the real thing, in small: a Qwen3-VL (an open vision-language model) with about two million
# parameters instead of billions, built from scratch and trained on phantoms. **A run that
# `make course` has already made is found; otherwise the next cell makes it, in about 25 minutes on
# 2 CPU cores.** If it is interrupted, run the cell again: it goes on where it stopped.

# %%
folder = course.ensure("evaluate")
seconds = {stage: course.run.summary(stage)["seconds"] for stage in course.stages()}
rows = [(stage, round(value / 60, 1)) for stage, value in seconds.items()]
Markdown(markdown_table(["stage", "minutes"], rows))

# %% [markdown]
# ### One question, asked before and after
#
# A film from a patient of the test set, and one question. First the model that GRPO starts from (on
# this tier an early checkpoint of SFT, which leaves GRPO something to improve), then the one that
# went through GRPO on grounding. Both are loaded from the run's folder and answer here
# and now; the film is simply the first of the test questions about a finding.

# %%
from radvlm_course.evaluation.predict import complete
from radvlm_course.models.loading import load_model

asked = course.examples("test", "abnormality_grounding")[0]
stages = (course.grpo_start(), "grpo_grounding")
models = {stage: load_model(course.run.model_folder(stage)) for stage in stages}
written = {stage: complete(models[stage], [asked], max_new_tokens=64)[0][0] for stage in stages}
earned = {stage: get_reward("soft_f1")([text], [asked])[0] for stage, text in written.items()}
rows = [(stage, asked.question, written[stage], f"{earned[stage]:.2f}") for stage in stages]
rows.append(("(truth)", "", asked.answer, "1.00"))
Markdown(markdown_table(["model", "question", "answer", "soft-F1"], rows))

# %%
from radvlm_course.boxes import parse_boxes
from radvlm_course.viz import gallery

gallery(
    [asked.image_path] * 2,
    captions=[f"{stage}: {text}" for stage, text in written.items()],
    truth=[asked.boxes] * 2,
    predictions=[parse_boxes(text) for text in written.values()],
    columns=2,
    width=4.2,
)

# %% [markdown]
# One film proves nothing, in either direction. So here is a film for each finding, again the first
# in the list, with the answers that the evaluation has stored.

# %%
from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.viz import before_after

first = {each.labels[0]: each for each in reversed(course.examples("test", asked.task))}
shown = [first[name] for name in sorted(first)][:8]
boxes = {}
for stage in stages:
    predictions = read_predictions(folder / "predictions" / f"{stage}.jsonl")
    response = {each.example_id: each.response or "" for each in predictions}
    boxes[stage] = [parse_boxes(response[each.id]) for each in shown]

# %%
before_after(
    [each.image_path for each in shown],
    [each.boxes for each in shown],
    *boxes.values(),
    [each.labels[0] for each in shown],
    names=("before GRPO", "after GRPO"),
    width=1.35,
)

# %% [markdown]
# Look for three things: boxes that moved, boxes that did not, and boxes that got worse. Training
# improves an average; no single film is promised anything.
#
# The same for a report: the true one, and what the two models wrote. Read what they *affirm* and
# on which side, not how fluent they are: fluency comes first and means least.

# %%
report = course.examples("test", "report_generation")[0]
rows = [("(truth)", report.answer)]
for stage in (course.grpo_start(), "grpo_reports"):
    if course.run.is_finished(stage):
        text = complete(load_model(course.run.model_folder(stage)), [report], max_new_tokens=96)
        rows.append((stage, text[0][0]))
Markdown(markdown_table(["model", report.question], rows))

# %% [markdown]
# ## 6. The results
#
# Every model on the same questions about the same unseen patients. Three things to know before
# reading:
#
# - **Priors** (hollow, grey) answer without looking at the film: the mean box of the finding, the
#   commonest report. A model is worth what it has above them.
# - The **interval** (95%) says how far the value would wander with other patients like these.
# - Both GRPO models start from the same model, `sft early`, and each was trained on one task only. Its
#   rows for the other task show what that cost, or gave. `sft` is what twice the supervised steps give.

# %%
from IPython.display import display

from radvlm_course.evaluation.score import load_scores
from radvlm_course.viz import dot_plot

stored = folder / "scores"
folders = [*sorted(stored.glob("prior_*")), *(stored / name for name in ("sft_early", *course.stages()))]
scores = {path.name.replace("_", " "): load_scores(path) for path in folders if path.exists()}
metrics = {
    "abnormality_grounding": {"mAP@0.5": "map50", "soft-F1": "soft_f1"},
    "report_generation": {"GLEU": "gleu", "finding F1": "finding_f1_micro"},
}
for task, titles in metrics.items():
    tasks = {name: found.tasks[task] for name, found in scores.items() if task in found.tasks}
    results = {name: {title: m[key] for title, key in titles.items()} for name, m in tasks.items()}
    baselines = [name for name in results if name.startswith("prior")]
    display(dot_plot(results, title=task.replace("_", " "), baselines=baselines))

# %% [markdown]
# **mAP@0.5** counts a box as found when its IoU is at least 0.5; **soft-F1** is the reward from
# above; **GLEU** compares runs of one to four words with the true report; **finding F1** compares
# the findings that the two reports affirm. Higher is better in all of them. The whole table, with
# the paired differences to the model that GRPO started from below it: an interval of a difference that does not
# contain 0 is the sign to look for.

# %%
Markdown((folder / "results.md").read_text(encoding="utf-8"))

# %% [markdown]
# ## 7. How the course is organised
#
# | notebook | question |
# | --- | --- |
# | **00 Start here** | What is the method, and does it work? |
# | [01 Data curation](01_data_curation.ipynb) | From films to questions: what can go wrong? |
# | [02 Fine-tuning](02_supervised_fine_tuning.ipynb) | How does a model learn by imitation? |
# | [03 The thinking cold start](03_thinking_cold_start.ipynb) | Does it help to think before answering? |
# | [04 GRPO for reports](04_grpo_reports.ipynb) | How does a reward on text become a gradient? |
# | [05 GRPO for grounding](05_grpo_grounding.ipynb) | And a reward on boxes? |
# | [06 Evaluation](06_unified_evaluation.ipynb) | Which differences are real? |
# | [07 Scaling up](07_scaling_up.ipynb) | What changes with a large model and many GPUs? |
#
# Each begins with something small enough to do by hand, then shows the package's function for it,
# then the real run, and ends with three exercises that check themselves. Read them in order the
# first time; each finds the run that is there.
#
# The course runs at several sizes, its **tiers**. A tier is a file of settings (a *profile*), never
# another program.

# %%
from radvlm_course.doctor import load_tiers

rows = []
for tier in load_tiers():
    needs = tier.requires
    gpus = f"{needs.gpus} x {needs.gpu_memory_gb:g} GB" if needs.gpus else "none"
    sizes = [f"{size:g} GB" for size in (needs.memory_gb, needs.disk_gb)]
    rows.append((tier.name, tier.model, tier.data, gpus, *sizes, tier.time))
columns = ["tier", "model", "data", "GPUs", "memory", "free disk", "time"]
Markdown(markdown_table(columns, rows))

# %% [markdown]
# `laptop` is the one that was run and measured. The others are profiles of the same program: their settings
# are held against the installed trainers by the tests, their memory is computed, and the files that start
# them on several GPUs were tried on two processes of a CPU. No GPU was at hand.
#
# What about the machine that you are on? The **doctor** looks at Python, packages, memory, disk and
# GPUs, and says which tier fits, what is missing and the command that adds it. `make doctor` prints
# the same. It takes some ten seconds.

# %%
from radvlm_course import doctor

print(doctor.report())

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell; a wrong answer gets a hint.
#
# **00.1** A workstation has 64 GB of memory, 80 GB of free disk and one GPU of 24 GB. Which is the
# largest tier that fits? Answer with its name.

# %%
from radvlm_course.exercises import check

tier = ...
check("00.1", tier)

# %% [markdown]
# **00.2** A film has two true boxes. The model writes one box; its IoU with one of them is 0.6.
# What is its soft-F1?

# %%
reward = ...
check("00.2", reward)

# %% [markdown]
# **00.3** Four answers to one question earn 0.9, 0.7, 0.8 and 0.8. Which of them does GRPO make
# more likely? Answer with a list of positions, counted from 0.

# %%
positions = ...
check("00.3", positions)

# %% [markdown]
# ## What to take along
#
# - Curate, imitate, reinforce, evaluate: four steps, each with its own notebook.
# - A reward grades what matters (a place, a finding), where imitation grades words.
# - GRPO compares answers to the same question with each other; all-equal groups teach nothing.
# - A score means something only beside a prior and with its interval.
#
# **Next:** [01 · Data curation](01_data_curation.ipynb), where the films become questions.
