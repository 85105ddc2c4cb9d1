# %% [markdown]
# # 06 · Unified evaluation
#
# `laptop tier` · `about 1 minute on 2 CPU cores` · `under 2 GB of memory` ·
# `needs the stage evaluate (and with it all stages before): it is found, or made here in about 20 minutes`
#
# A number in a results table is the end of a long chain: an answer was written, boxes were read out of
# it, matched, thresholded, averaged over films, and compared with something. Each link has choices, and
# papers differ in them without saying so. Here every link is shown on one example first. Then all models
# of this course are measured in the same way, on films of patients that none of them has seen, beside
# baselines that never look at a film.
#
# **After this notebook you can**
#
# 1. score an answer step by step under every metric of the table;
# 2. say what mAP means for a model that gives no confidences, and why two honest versions differ;
# 3. explain a bootstrap interval by patient, and read a paired difference;
# 4. tell what a model sees from what its prior gives for free, finding by finding;
# 5. report what got worse, and what was not shown.
#
# Everything here happens on synthetic radiographs (PhantomCXR). It is for research and teaching;
# nothing in it says anything about the diagnosis of patients.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline(current="evaluate")

# %% [markdown]
# ## 1. One answer, box by box
#
# A film with a pleural effusion (fluid around the lung) on both sides: two true boxes. Suppose that a
# model wrote three. Which of them are good?

# %%
from radvlm_course.boxes import Box
from radvlm_course.phantoms import make_phantom
from radvlm_course.viz.scoring import draw_matching

phantoms = (make_phantom(seed, size=256) for seed in range(500))
phantom = next(p for p in phantoms if len(p.abnormalities.get("pleural effusion", ())) == 2)
true_boxes = list(phantom.abnormalities["pleural effusion"])
a, b = true_boxes
right, down = 0.1 * a.width, 0.1 * a.height
written = [
    Box.clipped(a.x1 + right, a.y1 + down, a.x2 + right, a.y2 + down),
    Box.clipped(a.x1, a.y1 - 4 * down, a.x2, a.y2 - 4 * down),
    Box.clipped(b.x1 - 0.3 * b.width, b.y1 - 0.15 * b.height, b.x2, b.y2),
]
draw_matching(phantom.image, written, true_boxes)

# %% [markdown]
# Read it from the top. **IoU** is the area that two boxes share over the area that they cover together.
# P1 and P2 both overlap the left effusion, but one true box can have only one partner: of all ways to
# pair them, the **matching** with the largest sum of IoUs is taken. Then one of two readings:
#
# - **soft-F1** lets every matched pair count as much as it overlaps. P2 has no partner and pulls the
#   score down by standing in the denominator.
# - **at a threshold** a pair either counts (IoU of at least 0.5) or does not. That is the reading behind
#   recall, precision and mAP.
#
# The same by the course's functions, which training and evaluation share:

# %%
from radvlm_course.boxes import format_boxes, iou_matrix
from radvlm_course.evaluation.grounding import score_response
from radvlm_course.records import Example

asked = Example(
    id="by hand",
    task="abnormality_grounding",
    image_path="",
    question="Where is the pleural effusion?",
    answer=format_boxes(true_boxes),
    boxes=tuple(true_boxes),
    labels=("pleural effusion",),
)
score_response(f"Fluid on both sides: {format_boxes(written)}.", asked)

# %% [markdown]
# ## 2. mAP without confidences
#
# **Average precision** comes from detectors that give each box a confidence. Boxes are sorted by it;
# walking down the list, precision (how many so far are right) is plotted over recall (how many true
# boxes are found so far), and the area below is the AP. mAP is the mean over findings.
#
# A language model writes boxes, not confidences. Two ways to live with that:
#
# - **paper-compatible**: the order of writing is taken as the ranking, and each *film* gets an AP of
#   its own. This is what the published tables hold, so it is needed to compare with them.
# - **corrected**: without a ranking there is one operating point, and the area is precision times recall,
#   over all films of one *finding*, as detection benchmarks pool them.
#
# Three small answers show the difference. (They are the check values of the published evaluation.)

# %%
from radvlm_course.viz.scoring import draw_average_precision

here, there, elsewhere = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.6, 0.9, 0.9), Box(0.4, 0.1, 0.6, 0.3)
cases = {
    "wrong box first": iou_matrix([elsewhere, here], [here]),
    "right box first": iou_matrix([here, elsewhere], [here]),
    "one of two found": iou_matrix([here], [here, there]),
}
draw_average_precision(cases)

# %% [markdown]
# The first two answers hold the same boxes. Under the paper's reading the second is perfect, since what
# comes after the last hit costs nothing. So an answer may go on writing boxes for free:

# %%
from radvlm_course.evaluation.grounding import average_precision_of_sample, true_positives
from radvlm_course.rewards.soft_f1 import soft_f1

print("stray boxes after the right one   paper   corrected   soft-F1")
for strays in (0, 1, 4, 9):
    boxes = [here] + [Box(0.05 * n, 0.5, 0.05 * n + 0.04, 0.6) for n in range(strays)]
    ious = iou_matrix(boxes, [here])
    corrected = true_positives(ious) / len(boxes)  # precision times a recall of 1
    print(f"{strays:31d} {average_precision_of_sample(ious):7.2f} {corrected:11.2f}", end="")
    print(f" {soft_f1(boxes, [here]):9.2f}")

# %% [markdown]
# And two more traps. A healthy film, correctly answered with no box, scores 0 in the paper's reading. And
# with exactly one box on both sides, the commonest case by far, the two readings are different *scales*:
# if a share h of the boxes hits, the paper's value is h, while the corrected one is h times h (precision
# h, recall h). A value of 0.64 in one column and 0.80 in the other can be the same model. Never compare
# across columns; that is why this course always prints both.
#
# ## 3. One report, word by word
#
# **GLEU** counts shared runs of one to four words, and takes the smaller of precision (of all runs in
# the response) and recall (of all runs in the reference).

# %%
from radvlm_course.viz.scoring import draw_ngrams

reference = "Small left pleural effusion. No pneumothorax. The heart is normal."
draw_ngrams("No pneumothorax. Small left pleural effusion. Normal heart size.", reference)

# %% [markdown]
# It counts words, not meanings. Four answers to the same film, each with GLEU, **ROUGE-L** (the longest
# common subsequence of words) and what a rule-based **labeller** reads: which findings the report
# affirms, and on which side. The last column is the F1 of these (finding, side) pairs.

# %%
from radvlm_course.evaluation.reports import ReportScorer, phantom_labeller, statistics

shown = Example("by hand", "report_generation", "", "Write a report.", reference)
answers = {
    "reworded": "There is a small pleural effusion on the left. Heart size is normal.",
    "wrong side": reference.replace("left", "right"),
    "denied": reference.replace("Small", "No"),
    "nothing said": "The lungs are clear. No pneumothorax. The heart is normal.",
}
scorer = ReportScorer(phantom_labeller())
for name, text in answers.items():
    row = scorer.score_response(text, shown)
    metric = statistics([row])["finding_side_f1_micro"]
    side_f1 = float(metric.function(metric.counts.sum(axis=0)))
    read = ", ".join(" ".join(reversed(pair)) for pair in row["findings_predicted"]) or "nothing"
    print(f"{name:13s} GLEU {row['gleu']:.2f}  ROUGE-L {row['rouge_l']:.2f}", end="")
    print(f"  F1 {side_f1:.0f}  reads: {read}")

# %% [markdown]
# One swapped word turns the report into its opposite and costs GLEU little; an honest rewording costs it
# much. Neither metric is enough alone, and so the table has both, with the report's length beside them: a
# score that rises while reports shrink is being gamed. On phantoms the labeller knows the grammar of the
# reports. Real reports need models for this (CheXbert, RadGraph), which make mistakes of their own.
#
# ## 4. How sure is a mean?
#
# The mean over the test films is an estimate: other patients would have given another number. How much
# another? The **bootstrap** asks the data themselves: draw as many patients as there are, with
# replacement (some twice, some not at all), compute the mean again, two thousand times, and look at the
# spread. A toy: ten films of four patients.

# %%
from radvlm_course.viz.comparisons import draw_patients

values = [0.90, 0.85, 0.95, 0.88, 0.20, 0.15, 0.25, 0.70, 0.75, 0.30]
patients = ["patient A"] * 4 + ["patient B"] * 3 + ["patient C"] * 2 + ["patient D"]
draw_patients(values, patients)

# %% [markdown]
# Films of one patient are alike: the same habitus, the same disease. Ten films are not ten independent
# witnesses, and drawing them one by one pretends that they are. Drawing whole patients, each with all
# of their films, does not.

# %%
from radvlm_course.viz.comparisons import draw_bootstrap, resampled_means

each_film = [f"film {number}" for number in range(10)]
drawn = {
    "films drawn one by one (too sure of itself)": resampled_means(values, each_film),
    "patients drawn": resampled_means(values, patients),
}
draw_bootstrap(drawn, sum(values) / len(values))

# %% [markdown]
# The lower one is jagged because four patients can be drawn in only 35 different ways: so little do we
# know of other patients. Every interval below is of the second kind: the middle 95% of two thousand
# resamples, by patient.
#
# ## 5. Predictions are the only door
#
# A model is asked once, and every answer is written as one line of JSON as it comes; metrics read these
# lines and nothing else. So a killed run resumes, any metric can be added later without a GPU, and a
# model of any origin can be scored by writing its lines. This stage is found if it has run, else made.

# %%
import json

from radvlm_course.evaluation.predictions import read_predictions

folder = course.ensure("evaluate")
predictions = list(read_predictions(folder / "predictions" / "sft.jsonl"))
print(len(predictions), "predictions; the first:")
print(json.dumps(json.loads(predictions[0].to_line()), indent=2))

# %% [markdown]
# What if a line is missing? Scoring only what was answered would flatter a run that was killed, so it is
# an error and never a smaller test set:

# %%
from radvlm_course.evaluation.predictions import PredictionError
from radvlm_course.evaluation.score import score

test = course.examples("test")
try:
    score(test, predictions[:-1])
except PredictionError as error:
    print("PredictionError:", error)

# %% [markdown]
# ## 6. What comes for free
#
# Effusions lie at the bottom of the lungs, hearts in the middle. A **prior** answers from the training
# answers alone: always the mean box of the finding, or always the same well-chosen report. It sees no film.
# Here is the mean box, at work on four effusions:

# %%
from radvlm_course.boxes import parse_boxes
from radvlm_course.viz import gallery

examples = {example.id: example for example in test}
lines = read_predictions(folder / "predictions" / "prior_mean_box.jsonl")
mean_box = {line.example_id: line for line in lines}
asked = course.examples("test", "abnormality_grounding")
effusions = [example for example in asked if example.labels == ("pleural effusion",)][:4]
gallery(
    [e.image_path for e in effusions],
    [f"patient {e.patient_id}" for e in effusions],
    [e.boxes for e in effusions],
    [parse_boxes(mean_box[e.id].response) for e in effusions],
)

# %% [markdown]
# The stronger box prior takes the mean over the side of the body that has the finding more often. For
# reports, one prior repeats the training report that is most like all others, which earns GLEU; another
# always affirms the commonest findings, which earns finding F1. The better prior, metric by metric, is the
# floor that a model has to stand above.
#
# ## 7. The results
#
# Every model and every prior, on the same films. Hollow dots are priors. Look first at how far the filled
# dots stand from them, and only then at the distances among themselves.

# %%
from radvlm_course.evaluation.summary import is_prior, read_scores
from radvlm_course.evaluation.tables import METRIC_TITLES
from radvlm_course.viz import dot_plot

scores = read_scores(folder)


def panels(task, metrics):
    kept = {name: item.tasks[task] for name, item in scores.items() if task in item.tasks}
    return {name: {METRIC_TITLES[m]: found[m] for m in metrics} for name, found in kept.items()}


grounding = panels("abnormality_grounding", ["soft_f1", "map50", "map50_paper"])
priors = [name for name in grounding if is_prior(name)]
dot_plot(grounding, title="Abnormality grounding", baselines=priors)

# %%
reports = panels("report_generation", ["gleu", "finding_f1_micro", "finding_side_f1_micro"])
priors = [name for name in reports if is_prior(name)]
dot_plot(reports, title="Report generation", baselines=priors)

# %% [markdown]
# The whole table, with 95% intervals in brackets and n, the number of examples. It is also in the run's
# folder, as `evaluate/results.md`.

# %%
from IPython.display import Markdown

from radvlm_course.evaluation.tables import results_table

columns = ["map50", "map50_paper", "soft_f1", "gleu", "rouge_l", "finding_f1_micro", "words"]
tasks = ("abnormality_grounding", "anatomical_grounding", "report_generation")
Markdown(results_table(scores, tasks).to_markdown(columns))

# %% [markdown]
# ## 8. Is one model better than another?
#
# Do not read that from two intervals that overlap or do not: both contain the same hard films. Compare
# film by film. The **paired difference** is the change on the same films, and its bootstrap draws the same
# patients for both models. Three outcomes: the interval lies above zero (better), below zero (worse), or
# holds zero (not shown, which is not the same as "no difference").
#
# Each row is a model after more training against the one that reinforcement started from (`sft_early`). A
# GRPO model was rewarded on **one** task; the panels also show what happened to the others. The row `sft`
# is the honest rival: the same start, trained on with the true answers instead of rewards.

# %%
from radvlm_course.evaluation.differences import read_differences
from radvlm_course.viz.comparisons import draw_differences

differences = read_differences(folder)
wanted = {
    "Abnormality grounding: soft-F1": ("abnormality_grounding", "soft_f1"),
    "Anatomical grounding: soft-F1": ("anatomical_grounding", "soft_f1"),
    "Abnormality grounding: mAP@0.5": ("abnormality_grounding", "map50"),
    "Reports: GLEU": ("report_generation", "gleu"),
    "Reports: finding F1": ("report_generation", "finding_f1_micro"),
    "Reports: words": ("report_generation", "words"),
}
changes = {
    title: {name: tasks[task][metric] for name, tasks in differences.items() if task in tasks}
    for title, (task, metric) in wanted.items()
}
draw_differences(changes, "After more training minus before, 95% intervals by patient")

# %% [markdown]
# Where a row meets its own reward, one hopes for green. Where it meets the other task, grey is good news
# (nothing was lost) and pink is the price: one model does everything, and training one skill can wear
# down another. (For words neither direction is better: it tells whether a reward was earned by talking more
# or less.) The reward is not the only number that may move: mAP and finding F1 were not trained on.
#
# ## 9. Finding by finding
#
# A mean over findings can hide that one is solved and another is not seen at all; and a finding that is
# always in the same place scores high without sight. So each finding stands beside its own prior: the
# hollow dot is the gift, the bar is what the model adds to it.

# %%
from radvlm_course.evaluation.summary import against_prior
from radvlm_course.viz.comparisons import draw_against_prior

by_finding = against_prior(scores, "grpo_grounding", "abnormality_grounding", "soft_f1")
draw_against_prior(by_finding, "soft-F1", "Grounding after GRPO on grounding")

# %%
by_report = against_prior(scores, "grpo_reports", "report_generation", "finding_f1")
draw_against_prior(by_report, "F1 of the finding in reports", "Reports after GRPO on reports")

# %%
for name, rows in (("grounding", by_finding), ("reports", by_report)):
    gifts = [row.label for row in rows if not row.model.low > row.prior.value]
    print(f"{name}: not clearly above the prior: {', '.join(gifts) or 'none'}")

# %% [markdown]
# "Clearly" means here that the whole interval lies above the prior's value. n is the number of test
# examples with the finding; with a dozen, an interval is wide, whatever the dot says.
#
# ## 10. The best and the worst
#
# Means have no pictures, films have. Chosen by a rule: the questions sorted by soft-F1, the four lowest
# and the four highest (equal ones in the order of their names).

# %%
lines = read_predictions(folder / "predictions" / "grpo_grounding.jsonl")
answered = {line.example_id: line for line in lines}
rows = [row for row in scores["grpo_grounding"].rows if row["task"] == "abnormality_grounding"]
rows.sort(key=lambda row: (row["soft_f1"], row["example_id"]))
shown = rows[:4] + rows[-4:]
asked = [examples[row["example_id"]] for row in shown]
gallery(
    [example.image_path for example in asked],
    [f"{row['label']}: soft-F1 {row['soft_f1']:.2f}" for row in shown],
    [example.boxes for example in asked],
    [parse_boxes(answered[example.id].response) for example in asked],
)

# %% [markdown]
# Ask of each miss: is it a wrong place, a wrong size, a missing or a swapped box? Which findings are in the
# upper row? And how far is the middle of the list from either end:

# %%
soft = [row["soft_f1"] for row in rows]
nothing, half = sum(value == 0 for value in soft), sum(value >= 0.5 for value in soft)
print(f"{nothing} of {len(soft)} questions score 0; {half} reach 0.5")
print(f"median {sorted(soft)[len(soft) // 2]:.2f}, mean {sum(soft) / len(soft):.2f}")

# %% [markdown]
# For reports, the film on which GRPO gained most GLEU and the one on which it lost most.

# %%
from radvlm_course.phantoms import report_findings
from radvlm_course.viz import compare_reports

(comparison,) = read_differences(folder, model="grpo_reports")
after, before = comparison.split(" - ")
gleu = {}
for name in (before, after):
    gleu[name] = {row["example_id"]: row["gleu"] for row in scores[name].rows if "gleu" in row}
order = sorted(gleu[before], key=lambda key: (gleu[after][key] - gleu[before][key], key))
said = {}
for name in gleu:
    lines = read_predictions(folder / "predictions" / f"{name}.jsonl")
    said[name] = {line.example_id: line.response for line in lines}
best, worst = examples[order[-1]], examples[order[0]]
texts = {f"{name}, GLEU {gleu[name][best.id]:.2f}": said[name][best.id] for name in said}
compare_reports(texts, best.answer, best.image_path, findings_of=report_findings)

# %%
texts = {f"{name}, GLEU {gleu[name][worst.id]:.2f}": said[name][worst.id] for name in said}
compare_reports(texts, worst.answer, worst.image_path, findings_of=report_findings)

# %% [markdown]
# ## 11. Negative results
#
# What a table does not show is easily forgotten. So here is, in words, every paired difference of the
# main metrics that is *not* a gain:

# %%
from radvlm_course.evaluation.summary import verdict

main = ("soft_f1", "map50", "gleu", "rouge_l", "finding_f1_micro", "finding_side_f1_micro")
for name, tasks in differences.items():
    for task, metrics in tasks.items():
        for metric in (metric for metric in main if metric in metrics):
            said_of = verdict(metrics[metric])
            if said_of != "better":
                title = f"{task.replace('_', ' ')}, {METRIC_TITLES[metric]}"
                print(f"{name}: {title}: {said_of} ({metrics[metric]})")

# %% [markdown]
# And what no number above can say:
#
# - These are phantoms. A model that finds every synthetic nodule has learnt our drawing of nodules.
# - One run is one seed. The intervals speak of other patients, not of another training; several seeds
#   are needed for that (`docs/results.md`).
# - Of twenty comparisons at 95%, about one will show a difference where there is none. Decide beforehand
#   which one counts; here it is the reward's own task, on held-out films.
# - A metric that was trained on is no longer a neutral judge. That is why GRPO on soft-F1 is also
#   measured by mAP, and GRPO on GLEU also by findings.
# - References are reports and boxes of one source. Real ones come from several readers who disagree.
#
# ## 12. Your turn
#
# Replace the dots with your answer and run the cell. A wrong answer gets a hint. Worked solutions are
# in `notebooks/solutions/`.
#
# **06.1** Two readings: a test set has 20 films with one nodule each. The model writes one box for each
# film, and 12 of them reach IoU 0.5. What is mAP@0.5, paper-compatible and corrected?

# %%
from radvlm_course.exercises import check

answer_1 = ...  # two numbers: (paper-compatible, corrected)
check("06.1", answer_1)

# %% [markdown]
# **06.2** Paired: write a function that gets the rows of two models, each row a dict with `example_id` and
# `soft_f1`, *in any order*, and returns the mean paired difference `after - before`. If the two were not
# measured on the same examples it must raise a `ValueError`.

# %%
answer_2 = ...  # a function of (before, after)
check("06.2", answer_2)

# %% [markdown]
# **06.3** A resample by patient: write a function that gets the patient of each film, as a list of names,
# and a `random.Random`, and returns the indices of the films of one bootstrap resample.

# %%
answer_3 = ...  # a function of (patients, rng)
check("06.3", answer_3)

# %% [markdown]
# ## What to take along
#
# - A metric is a chain of choices; check it on an example that you can score by hand.
# - Without confidences mAP has two readings on two scales: print both, compare within one.
# - Resample patients, not films; compare models film by film.
# - A prior beside every score, for every finding, and the task that was not trained beside the one that was.
# - What got worse, and what was not shown, belongs into the same report.
#
# **Next:** this closes the walking course. Everything that you measured here, with the same commands and
# the same code, runs on real films and larger models: see the README's tiers, and notebook 07.
