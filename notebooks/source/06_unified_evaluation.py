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
# baselines that never look at a film, and beside the paper's tables.
#
# **After this notebook you can**
#
# 1. score an answer step by step under every metric of the table;
# 2. say what mAP means for a model that gives no confidences, and why honest versions differ;
# 3. explain a bootstrap interval by patient, a place in a leaderboard, and a paired difference;
# 4. tell what a model sees from what its prior gives for free, finding by finding;
# 5. look behind a mean: which films are worst, and what kind of error they are;
# 6. report what got worse, and what was not shown.
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
# ## 1. One answer, step by step
#
# A film with a pleural effusion (fluid around the lung) on both sides: two true boxes. Suppose that a
# model wrote this answer. **Step one is reading**: what in it is a box?

# %%
from radvlm_course.boxes import Box, format_boxes, parse_boxes
from radvlm_course.evaluation.steps import read_groups
from radvlm_course.phantoms import make_phantom
from radvlm_course.viz.steps import draw_reading

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
written = parse_boxes(format_boxes(written))  # with two decimals, as an answer has them
untidy = f"Fluid on both sides: {format_boxes(written)}. Or [0.9, 0.8, 0.7, 0.6], in pixels [410, 220, 600, 300]."
draw_reading(untidy, read_groups(untidy))

# %% [markdown]
# Two readers, two answers to the same text. This course's reader takes a box only if its corners are in order
# and inside the film; what has numbers and is no box is counted as malformed, so that a table can say how
# often it happens. The paper's reader checks nothing, and its wrong boxes go on into the score. From here on the
# answer is tidy: three boxes, none of them malformed.
#
# **Step two is matching**: which of the boxes are good?

# %%
from radvlm_course.viz.scoring import draw_matching

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
# **Step three: every metric of the table**, for this answer alone, with the sum that gives it. Orange is the
# paper's reading, blue this course's (the functions that training and evaluation share), grey COCO's own tool.

# %%
from radvlm_course.evaluation.steps import grounding_steps
from radvlm_course.records import Example
from radvlm_course.viz.steps import draw_steps

asked = Example(
    id="by hand",
    task="abnormality_grounding",
    image_path="",
    question="Where is the pleural effusion?",
    answer=format_boxes(true_boxes),
    boxes=tuple(true_boxes),
    labels=("pleural effusion",),
)
answer = f"Fluid on both sides: {format_boxes(written)}."
draw_steps(grounding_steps(answer, asked), "One answer, three boxes for two, under every metric")

# %% [markdown]
# One answer, and its score is anything from less than a third to one. No line is wrong: each answers another
# question. The most surprising are those that differ by colour alone, and they have one cause.
#
# ## 2. mAP without confidences
#
# **Average precision** comes from detectors that give each box a confidence. Boxes are sorted by it;
# walking down the list, precision (how many so far are right) is plotted over recall (how many true
# boxes are found so far), and the area below is the AP. mAP is the mean over findings.
#
# A language model writes boxes, not confidences. Three ways to live with that:
#
# - **paper-compatible**: the order of writing is taken as the ranking, and each *film* gets an AP of
#   its own. This is what the published tables hold, so it is needed to compare with them.
# - **corrected**: without a ranking there is one operating point, and the area is precision times recall,
#   over all films of one *finding*, as detection benchmarks pool them.
# - **COCO's tool** must be given confidences, so they are made up: section 8 shows how much that decides.
#
# Three small answers show the difference. (They are the check values of the published evaluation.)

# %%
from radvlm_course.boxes import iou_matrix
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
from radvlm_course.viz.rankings import draw_stray_boxes

draw_stray_boxes(here, [Box(0.05 * n, 0.5, 0.05 * n + 0.04, 0.6) for n in range(10)])

# %% [markdown]
# And two more traps. A healthy film, correctly answered with no box, scores 0 in the paper's reading. And
# with exactly one box on both sides, the commonest case by far, the two readings are different *scales*:
# if a share h of the boxes hits, the paper's value is h, while the corrected one is h times h (precision
# h, recall h). A value of 0.64 in one column and 0.80 in the other can be the same model. Never compare
# across columns; that is why this course always prints both.
#
# ## 3. One report, word by word
#
# A reference and a response that says nearly the same in other words, and one thing that is not there. **GLEU**
# counts shared runs of one to four words, and takes the smaller of precision (of all runs in the response) and
# recall (of all runs in the reference).

# %%
from radvlm_course.viz.scoring import draw_ngrams

reference = "Small left pleural effusion. Mild cardiomegaly. No pneumothorax."
response = "No pneumothorax. Small pleural effusion on the left. Nodule in the right upper lung."
draw_ngrams(response, reference)

# %% [markdown]
# **ROUGE-L** asks for words in the same *order*, with any gaps: the longest common subsequence. Word order decides
# what can be shared: whoever begins with the pneumothorax pays for it.

# %%
from radvlm_course.viz.steps import draw_subsequence

draw_subsequence(response, reference)

# %% [markdown]
# Both count words, not meanings. A **labeller** reads which findings a report affirms, and on which side. Then a
# finding is *matched*, *missed* or *invented*, whatever the words; a denial ("no pneumothorax") affirms nothing and
# has no colour.

# %%
from radvlm_course.phantoms import report_findings
from radvlm_course.viz.findings import draw_findings

draw_findings({"response": response}, reference, report_findings)

# %% [markdown]
# And again every metric with its sum. **BLEU** is made for a whole corpus and is nearly always 0 for one report in
# the paper's reading: words are split at spaces, so that "pneumothorax." is not "pneumothorax", and one
# empty row of four empties the product.

# %%
from radvlm_course.evaluation.reports import phantom_labeller
from radvlm_course.evaluation.steps import report_steps

shown = Example("by hand", "report_generation", "", "Write a report.", reference)
draw_steps(report_steps(response, shown, phantom_labeller()), "One report under every metric")

# %% [markdown]
# Which of them can be trusted? Four answers to the same film, under words and under facts:

# %%
from radvlm_course.viz.scorecard import draw_scorecard, score_reports

answers = {
    "reworded": "There is a small pleural effusion on the left. The heart is mildly enlarged.",
    "wrong side": reference.replace("left", "right"),
    "denied": reference.replace("Small", "No"),
    "nothing said": "The lungs are clear. No pneumothorax. The heart is normal.",
}
draw_scorecard(score_reports(answers, shown, report_findings), "Four answers: words (left, middle) and facts (right)")

# %% [markdown]
# One swapped word turns the report into its opposite and costs GLEU little; an honest rewording costs it
# much. Neither metric is enough alone, and so the table has both, with the report's length beside them: a
# score that rises while reports shrink is being gamed. On phantoms the labeller knows the grammar of the
# reports. Real reports need models for this (CheXbert, RadGraph), which make mistakes of their own.
#
# ## 4. What each quirk does to a score
#
# The published tables were computed with code that has peculiarities. All of them are rebuilt here, so that our
# numbers can stand in the paper's columns; and all of them exist without, so that nobody has to trust them.
# Each line below is scored now, by the functions that score whole runs. Orange diamond: the paper's value. Blue dot:
# corrected.

# %%
from radvlm_course.evaluation.quirks import quirks
from radvlm_course.viz.quirks import draw_quirks

draw_quirks(quirks())

# %% [markdown]
# Read it by direction. A diamond on the **right** is a flattering quirk: stray boxes for free, failures left out, an
# unreadable judgement taken for praise. A diamond on the **left** is an unfair one: a correct silence, a denial, a
# synonym, a comma. (The last line is no score: there the diamond on the left is an interval that is too sure of
# itself.) They do not cancel: which ones weigh more depends on how a model writes. And where both marks lie on each
# other, the quirk is harmless in that case, which is worth knowing as well.
#
# ## 5. How sure is a mean?
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
# ## 6. Predictions are the only door
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
# ## 7. What comes for free
#
# Effusions lie at the bottom of the lungs, hearts in the middle. A **prior** answers from the training
# answers alone: always the mean box of the finding, or always the same well-chosen report. It sees no film.
# Here is the mean box, at work on four effusions:

# %%
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
# ## 8. The leaderboard
#
# Every model and every prior, on the same films, in the order of one metric. The order of the lines is that of the
# values, which is not yet a claim. **The right half is**: from which to which place the intervals let a
# model stand. Two bars that overlap are two models that this test set cannot tell apart in this way. Hollow dots
# are priors; look first at how far the filled ones stand from them.

# %%
from radvlm_course.evaluation.leaderboard import leaderboard
from radvlm_course.evaluation.summary import is_prior, read_scores
from radvlm_course.viz.leaderboard import draw_leaderboard

scores = read_scores(folder)
priors = [name for name in scores if is_prior(name)]
draw_leaderboard(leaderboard(scores, "abnormality_grounding", ["map50"]), priors, "Abnormality grounding")

# %%
draw_leaderboard(leaderboard(scores, "report_generation", ["gleu"]), priors, "Report generation")

# %% [markdown]
# Another metric, another order? The same models under three measures of boxes, and three of reports:

# %%
from radvlm_course.evaluation.summary import of_task
from radvlm_course.viz import dot_plot

dot_plot(of_task(scores, "abnormality_grounding", ["soft_f1", "map50", "map50_paper"]), baselines=priors)

# %%
dot_plot(of_task(scores, "report_generation", ["gleu", "finding_f1_micro", "finding_side_f1_micro"]), baselines=priors)

# %% [markdown]
# The same boxes under **COCO's tool**, which has a column for every size of box. Small is below 1% of the film's
# area, large from 9%; "none" means that no true box has this size. AP needs a ranking (here: first boxes before
# second ones), AR does not.

# %%
from radvlm_course.viz.rankings import draw_coco_sizes, draw_ranking_freedom

coco = {name: item.coco["abnormality_grounding"] for name, item in scores.items() if item.coco}
draw_coco_sizes(coco, "COCO's tool on abnormality grounding, by the size of the true box")

# %% [markdown]
# Now the question that section 2 left open: **what does the made-up ranking decide?** The boxes of one finding,
# three times the same, only their order differs:

# %%
from radvlm_course.evaluation.coco import precision_curves
from radvlm_course.evaluation.errors import read_cases
from radvlm_course.viz.rankings import draw_rankings

boxed = read_cases(folder, "grpo_grounding", examples, "abnormality_grounding", "soft_f1")
one = [case for case in boxed if case.example.labels == ("pleural effusion",)]
curves = precision_curves([case.boxes for case in one], [case.example.boxes for case in one])
draw_rankings(curves, f"grpo_grounding, pleural effusion, {len(one)} films: the same boxes in three orders")

# %% [markdown]
# From the left: the area of one rectangle (precision times recall, our *corrected* value), the order of writing, and
# recall alone, where wrong boxes cost nothing. Nothing in the model's answers says which of them is right. Over all
# findings, the grey bar is what a choice of the evaluator can add or take:

# %%
draw_ranking_freedom(coco, "Abnormality grounding: how far AP@0.5 moves with the ranking alone")

# %% [markdown]
# Compare the length of a bar with the distance between two models. Wherever they are alike, a table of AP without
# a word about its ranking says nothing about these two models.
#
# What has no box has no IoU. So the **empty cases** are counted, not averaged: films with nothing to find, answers
# with nothing written, answers that were cut off.

# %%
from IPython.display import Markdown

from radvlm_course.evaluation.box_tables import empty_cases_markdown

Markdown(empty_cases_markdown(scores))

# %% [markdown]
# The whole table, with 95% intervals in brackets and n, the number of examples. It is also in the run's
# folder, as `evaluate/results.md`, with COCO's numbers and the recall of each size.

# %%
from radvlm_course.evaluation.tables import results_table

columns = ["map50", "map50_paper", "soft_f1", "gleu", "rouge_l", "finding_f1_micro", "words"]
tasks = ("abnormality_grounding", "anatomical_grounding", "report_generation")
Markdown(results_table(scores, tasks).to_markdown(columns))

# %% [markdown]
# ## 9. Is one model better than another?
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
# Six panels with several rows each are many looks, and of twenty looks at nothing about one shows something.
# A **permutation test** asks how often chance alone would give such a difference (the two models' answers change
# sides, patient by patient, at random), and **Holm's correction** makes that number larger the more was looked
# at. The family below was chosen before looking: the two rewards, on all models.

# %%
from radvlm_course.evaluation.comparison import compare_models
from radvlm_course.viz.comparisons import draw_p_values

(start,) = {name.split(" - ")[1] for name in differences}
models = {name: item for name, item in scores.items() if not is_prior(name)}
family = compare_models(models, start, ["soft_f1", "gleu"], swaps=4000)
draw_p_values(family, f"Every model against {start}: p-values by permutation of patients")

# %% [markdown]
# Blue lines hold after the correction. A hollow dot left of the dotted line whose filled dot lies right of it is a
# difference that one would have reported after looking only there.
#
# ## 10. Finding by finding
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
# ## 11. The error browser
#
# Means have no pictures, films have. Chosen by a rule: the questions sorted by soft-F1, the **worst** first (equal
# ones in the order of their names). In a live notebook you choose model, label, order and place below the picture;
# here is the first page.

# %%
from radvlm_course.viz.errors import ErrorBrowser

browsed = {"grpo_grounding": boxed}
for name in ("sft", start):
    browsed[name] = read_cases(folder, name, examples, "abnormality_grounding", "soft_f1")
ErrorBrowser(browsed, "soft_f1")

# %% [markdown]
# And the **best**:

# %%
ErrorBrowser(browsed, "soft_f1", worst_first=False)

# %% [markdown]
# Ask of each miss: is it a wrong place, a wrong size, a missing or a swapped box? Then ask it of all of them. Every
# answer gets the first kind that fits: *right* (all found, nothing else written), *partly right*, a *near miss*
# (IoU of 0.1 or more), the *other side* (it would overlap if the film were mirrored), *elsewhere*, *nothing written*.

# %%
from radvlm_course.viz.errors import draw_box_errors

draw_box_errors(boxed, "grpo_grounding: what kind of answer, finding by finding")

# %% [markdown]
# A finding with many near misses needs finer boxes; one with many elsewheres was not seen; one on the other side was
# seen and placed by habit. Three findings with the same AP can need three different remedies.
#
# The same for reports. The film on which the model that was trained on reports does worst, with what it matched,
# missed and invented; in a live notebook leaf on from here.

# %%
said = {name: read_cases(folder, name, examples, "report_generation", "gleu") for name in ("grpo_reports", start)}
ErrorBrowser(said, "gleu", findings_of=report_findings)

# %% [markdown]
# Its best, with a score that a film without findings makes easy to reach:

# %%
ErrorBrowser(said, "gleu", findings_of=report_findings, worst_first=False)

# %% [markdown]
# Words and facts need not agree on what is worst: the report with the lowest GLEU may have every finding right. So
# here are the facts of all reports, finding by finding:

# %%
from radvlm_course.evaluation.errors import finding_errors
from radvlm_course.viz.errors import draw_finding_errors

facts = finding_errors([case.row for case in said["grpo_reports"]])
draw_finding_errors(facts, "grpo_reports: the findings of its reports")

# %% [markdown]
# And what training changed: the film on which GRPO gained most GLEU and the one on which it lost most.

# %%
from radvlm_course.evaluation.errors import by_gain
from radvlm_course.viz.errors import draw_report_change

changed = by_gain(said[start], said["grpo_reports"])
draw_report_change(dict(zip((start, "grpo_reports"), changed[-1], strict=True)), "GLEU", report_findings)

# %%
draw_report_change(dict(zip((start, "grpo_reports"), changed[0], strict=True)), "GLEU", report_findings)

# %% [markdown]
# ## 12. Beside the paper's tables
#
# The paper's table 2 (grounding) with ours in its columns, in its units and by its reading of mAP. Rings are the
# paper's, which have no intervals; dots are ours. **The films are others**: the paper's are of patients, with seven or
# eight billion parameters behind each ring, ours are phantoms. Nobody is ranked against anybody here. What the
# picture is for: which columns exist, which ones are empty for us, and how the paper's models stand to each other.

# %%
from radvlm_course.evaluation.beside_paper import beside_paper, our_scores
from radvlm_course.evaluation.published import load_table
from radvlm_course.viz.beside_paper import draw_beside_paper

chosen = [start, "sft", "grpo_grounding", "grpo_reports"]
ours = [our_scores(scores[name], test) for name in chosen if name in scores]
draw_beside_paper(beside_paper(load_table(2), ours))

# %% [markdown]
# Table 1 (reports). Of its columns only ROUGE-L needs no model with weights of its own, so it is the only one that
# the laptop tier fills; `evaluate score --report-metrics` fills the others where the weights are.

# %%
from radvlm_course.evaluation.paper_text import to_markdown

Markdown(to_markdown(beside_paper(load_table(1), ours)))

# %% [markdown]
# Table 3: one model, trained with one reward after the other. Ours was paid with GLEU.

# %%
paid = [our_scores(scores[name], test) for name in (start, "grpo_reports") if name in scores]
Markdown(to_markdown(beside_paper(load_table(3), paid)))

# %% [markdown]
# Three comparisons inside the paper's tables can be repeated inside ours, because both sides of each are on the same
# films: RadVLM against RadVLM+RL in table 2 (ours: the start against `grpo_grounding`, section 9), the same pair in
# table 1 (ours: the start against `grpo_reports`), and in table 3 what paying with GLEU does to the length of a report.
#
# ## 13. The paper's experiments, in small
#
# The paper compares models of 8 billion parameters on real films. The same comparisons in small, with
# everything else held equal, take more time than a notebook should, so they are stored with the course, each
# with the command that made it. An experiment has **arms** (trainings that differ in one thing), three seeds
# of each, and **questions**: paired differences over the same test films.
#
# One rule judges all claims, written down before looking:

# %%
import textwrap

from radvlm_course.experiments.page import all_stored, total_seconds
from radvlm_course.experiments.verdicts import rule_in_words

experiments = all_stored()
print(textwrap.fill(rule_in_words(), 100), "\n")
for name, results in experiments.items():
    minutes = total_seconds({name: results}) / 60
    size = f"{len(results.seconds)} arms x {len(results.budget.seeds)} seeds, {minutes:4.0f} minutes of training"
    print(f"{name:14s} {size}: {results.command}")

# %% [markdown]
# A fifth, *matched RL*, is defined and not run yet: the same GRPO from a model that has seen shapes and never a
# radiograph (`python -m radvlm_course experiments matched_rl --store`, about an hour of two cores).
#
# ### Does thinking help?
#
# Each question with its interval; hollow dots are the seeds, and what ends in the grey band is too small to count.

# %%
from radvlm_course.experiments.claims import read_aloud
from radvlm_course.viz.experiments import draw_answers, show_experiment

show_experiment(experiments["thinking"])

# %%
print(read_aloud(experiments["thinking"]))

# %% [markdown]
# ### Which reward for reports?
#
# All metrics against all rewards. Read a row: what did training on this reward do? Then the last column: was it
# earned by saying less? `fact_precision` pays for being right about what is said and nothing for saying it.

# %%
show_experiment(experiments["reward_choice"])

# %%
print(read_aloud(experiments["reward_choice"]))

# %% [markdown]
# ### How much does the start matter?

# %%
show_experiment(experiments["sft_matters"])

# %%
print(read_aloud(experiments["sft_matters"]))

# %% [markdown]
# ### What does RL on one task do to the other?
#
# The framed squares are on the task that was trained; the others are the price, or the gift. The paper does not
# measure these.

# %%
show_experiment(experiments["cross_task"])

# %%
print(read_aloud(experiments["cross_task"]))

# %%
draw_answers(experiments["cross_task"])

# %% [markdown]
# Three verdicts, and all three are results. **Not reproduced** on phantoms with a tiny model says little
# against a claim about real films; **not testable at this size** is the honest name for an interval that is
# too wide or a training that moved nothing. [The page of the experiments](../docs/experiments.md) has every
# difference with its seeds, and for each arm the configuration that runs it at the paper's size.
#
# ## 14. Negative results
#
# What a table does not show is easily forgotten. So here is, in words, every paired difference of the
# main metrics that is *not* a gain:

# %%
from radvlm_course.evaluation.summary import verdict
from radvlm_course.evaluation.tables import METRIC_TITLES

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
# - The list above is not corrected for its length; section 9 shows what remains of the rewards' own differences.
# - A metric that was trained on is no longer a neutral judge. That is why GRPO on soft-F1 is also
#   measured by mAP, and GRPO on GLEU also by findings.
# - References are reports and boxes of one source. Real ones come from several readers who disagree.
#
# ## 15. Your turn
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
# **06.4** Without confidences: of one finding, a model wrote `written` boxes over all films, of which `right` are
# right, for `true` true boxes. Write a function of these three counts that returns the lowest and the highest AP@0.5
# that a made-up ranking can give.

# %%
answer_4 = ...  # a function of (right, written, true) that returns (lowest, highest)
check("06.4", answer_4)

# %% [markdown]
# ## What to take along
#
# - A metric is a chain of choices; check it on an example that you can score by hand.
# - Without confidences mAP has two readings on two scales: print both, compare within one, and say how boxes
#   were ranked.
# - A quirk may flatter or punish: keep the published reading to compare, and a corrected one to believe.
# - Resample patients, not films; compare models film by film; a place is a range until the intervals say otherwise.
# - Behind a mean stand kinds of errors, and each needs another remedy: look at the worst films.
# - A prior beside every score, for every finding, and the task that was not trained beside the one that was.
# - What got worse, and what was not shown, belongs into the same report.
#
# **Next:** this closes the walking course. Everything that you measured here, with the same commands and
# the same code, runs on real films and larger models: see the README's tiers, and notebook 07.
