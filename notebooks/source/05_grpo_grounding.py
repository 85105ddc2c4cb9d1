# %% [markdown]
# # 05 · GRPO for visual grounding
#
# `laptop tier` · `about 1 minute on 2 CPU cores` · `under 2 GB of memory` ·
# `needs the stages sft, grpo_grounding and evaluate: found, or made here, which takes longer`
#
# A model that was fine-tuned on examples has learned to *imitate* answers. Nobody has told it yet
# whether a box that is a little off is a small mistake or a large one: for supervised training,
# writing `0.39` instead of `0.38` is as wrong as writing `0.93`. In this notebook the model
# writes its own answers, each answer is measured against the film, and the better ones become
# likelier.
#
# **After this notebook you can**
#
# 1. compute the reward of a set of boxes by hand (IoU, matching, soft-F1);
# 2. turn the rewards of a group into advantages and a loss, and say what the clip and the KL do;
# 3. read the curves of a GRPO run, panel by panel, and tell a healthy run from a sick one;
# 4. judge what training changed on films that it never saw, also on the task it did not train.
#
# Everything here happens on synthetic radiographs (PhantomCXR). It is for research and teaching;
# nothing in it says anything about the diagnosis of patients.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline(current="grpo_grounding")

# %% [markdown]
# ## 1. A reward by hand
#
# **Grounding** means: given a film and a question such as "Where is the nodule?", answer with a
# box. A box is four numbers, the left, top, right and bottom edge, as fractions of the film's
# width and height. To train with reinforcement we need one number that says how good the answer
# was: the **reward**.
#
# The usual measure of two boxes is **IoU**, intersection over union: the area that they share,
# divided by the area that they cover together. Here it is, with nothing but a calculator, for the
# pair of boxes that the paper prints in its figure.

# %%
true_box = (0.38, 0.47, 0.76, 0.62)  # left, top, right, bottom
predicted = (0.35, 0.51, 0.75, 0.64)

shared_width = min(0.76, 0.75) - max(0.38, 0.35)
shared_height = min(0.62, 0.64) - max(0.47, 0.51)
shared = shared_width * shared_height
true_area = (0.76 - 0.38) * (0.62 - 0.47)
predicted_area = (0.75 - 0.35) * (0.64 - 0.51)
covered = true_area + predicted_area - shared

print(f"shared area   {shared_width:.2f} x {shared_height:.2f} = {shared:.4f}")
print(f"covered area  {true_area:.4f} + {predicted_area:.4f} - {shared:.4f} = {covered:.4f}")
print(f"IoU           {shared / covered:.3f}")

# %% [markdown]
# The course's `Box` gives the same number, and the explorer shows it. In a live notebook four
# sliders appear below the picture: move the dashed box and watch what it earns. (The film is a
# phantom; the paper's two boxes are only laid over it. The other bars, soft-F1 and mAP@0.5, are
# explained below.)

# %%
from radvlm_course.boxes import Box
from radvlm_course.phantoms import make_phantom
from radvlm_course.viz import BoxExplorer

film = make_phantom(seed=8, size=256).image
truth, answer = Box(*true_box), Box(*predicted)
print(f"Box.iou: {answer.iou(truth):.3f}")
BoxExplorer(film, [truth], start=answer)

# %% [markdown]
# ### Several boxes: who is compared with whom?
#
# A question may have two true boxes (effusions on both sides), and a model may write any number.
# **Matching** pairs predictions and truths one to one, so that the summed IoU is as large as
# possible (the Hungarian algorithm). Whatever is left without a partner is a mistake: a stray
# prediction or a missed truth. Then
#
# $$\text{soft-F1} = \frac{2 \cdot \text{summed IoU of the matched pairs}}
# {\text{number predicted} + \text{number true}}$$
#
# It is the F1 score in which a hit does not count 1 but its IoU. Below, the same box as before,
# plus a stray one: the overlap is as good as it was, and the reward is lower.

# %%
BoxExplorer(film, [truth], start=answer, others=[Box(0.10, 0.10, 0.30, 0.30)])

# %% [markdown]
# Two true boxes and two predictions, written in the "wrong" order. First the table of all IoUs
# (one row a prediction, one column a truth), then the matching that the reward uses.

# %%
from radvlm_course.boxes import iou_matrix
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.viz import show_boxes

two_true = [Box(0.15, 0.55, 0.40, 0.80), Box(0.60, 0.55, 0.85, 0.80)]
two_written = [Box(0.62, 0.58, 0.88, 0.84), Box(0.18, 0.50, 0.42, 0.78)]

print("IoU of each prediction (row) with each truth (column):")
print(iou_matrix(two_written, two_true).round(2))
print(f"soft-F1 {soft_f1(two_written, two_true):.3f}, in whatever order they are written")
show_boxes(film, two_true, two_written, title="Matched one to one, so that the sum is largest")

# %% [markdown]
# ### Two formulas of one name
#
# The paper's figure follows the formula above. The code that was published with the paper
# computes another one: its precision counts as a mistake only a prediction without any
# overlapping partner, so a single box that barely touches the truth already has precision 1. Both
# exist here, by name, because whoever compares rewards across papers must know which of them was
# used. For the pair above:

# %%
from radvlm_course.rewards import get_reward

for name in ("soft_f1", "soft_f1_published"):
    print(f"{name:18s} {soft_f1([answer], [truth], get_reward(name).variant):.3f}")

# %% [markdown]
# Why not simply pay 1 for IoU of at least 0.5 and 0 otherwise, as the evaluation (mAP@0.5)
# counts? Because a policy can only climb where there is a slope. Slide a box of the right size
# away from its target: soft-F1 falls with every step, hit-or-miss says nothing almost everywhere.
# (The figure also shows how much more generous the published formula is in between.)

# %%
from radvlm_course.viz.reward_slope import draw_reward_slope

draw_reward_slope(Box(0.10, 0.40, 0.50, 0.60))

# %% [markdown]
# ### The reward lab for boxes
#
# The bars of the explorer named a third measure, the one that the tables of results are made of:
# **mAP@0.5**. A box is a hit if it overlaps a true box with IoU of at least 0.5, else a miss. It
# exists in two readings, because a language model gives no confidences: the paper's takes the
# order in which boxes are written as their ranking, the corrected one knows no order and is
# precision times recall (notebook 06 draws both). Should one pay a policy by it?
#
# First the slope, in all directions. Move a box of the right size off its target: what does it
# earn? Under soft-F1 there is a hill to climb, wherever the box is, as long as it touches the
# truth. Under mAP@0.5 there is a table mountain: flat above, flat below, and a cliff.

# %%
from radvlm_course.viz.reward_slope import draw_offset_maps

draw_offset_maps(Box(0.40, 0.40, 0.60, 0.60))

# %% [markdown]
# Then answers that are wrong in one known way. The question has two true boxes; answers are texts,
# scored as in training. Compare columns two by two: the two formulas of soft-F1, the two readings
# of mAP.

# %%
from radvlm_course.evaluation.box_survey import score_box_candidates
from radvlm_course.rewards.lab.boxes import BOX_KINDS, make_box_candidates, phantom_box_examples
from radvlm_course.viz import draw_reward_table

questions = phantom_box_examples(range(100))
two_boxes = next(question for question in questions if len(question.boxes) == 2)
print(two_boxes.question, two_boxes.answer)
draw_reward_table(
    score_box_candidates(make_box_candidates(two_boxes.boxes), two_boxes),
    notes=BOX_KINDS,
    title="One question, eleven answers",
)

# %% [markdown]
# Four strays after the hits cost nothing under the paper's mAP; before the hits they cost two
# thirds. Half a width off and nothing at all are worth the same under both readings. (The exact
# boxes earn a little less than 1 under soft-F1 because an answer writes two decimals.)
#
# Last, **what would a policy game?** A simulated honest reader places its boxes with some error,
# and looks on the wrong side of the film now and then. The strategies below it do something else
# with what it read, or do not look. Framed: what earns no less than honest boxes.

# %%
from radvlm_course.evaluation.box_survey import survey_box_strategies
from radvlm_course.rewards.lab.boxes import BOX_STRATEGIES, box_strategies

other_films = phantom_box_examples(range(1000, 1100))
draw_reward_table(
    survey_box_strategies(box_strategies(questions, other_films), questions),
    notes=BOX_STRATEGIES,
    right=["honest"],
    yardstick="honest",
    title="Strategies over 100 films",
)

# %% [markdown]
# A policy that is paid by the paper's mAP learns to write its answer and then every place where
# the finding has ever been: each miss is free, and now and then a guess hits. soft-F1 charges for
# every box. So does the corrected mAP, but it has no slope. That is why the reward is one thing
# and the measure of the tables another, and why the tables of this course show both readings.
#
# ## 2. Four rollouts, by hand, to the loss
#
# GRPO (*group relative policy optimisation*) asks the model the same question several times. The
# answers are **rollouts**, together they are a **group**. Here are four, written by hand, and the
# whole idea in one picture. The **policy** is the model seen as what it is here: a probability
# for every possible answer.

# %%
from radvlm_course.viz import draw_grpo_idea

completions = [
    "[0.35, 0.51, 0.75, 0.64]",
    "[0.40, 0.46, 0.75, 0.61]",
    "[0.10, 0.40, 0.45, 0.60]",
    "I see nothing.",
]
draw_grpo_idea(completions, [truth], "Where is the finding?", film)

# %% [markdown]
# **Rewards.** The reward reads the text: it looks for boxes in it and compares them with the
# truth.

# %%
import torch

from radvlm_course.boxes import parse_boxes

rewards = torch.tensor([soft_f1(parse_boxes(text), [truth]) for text in completions])
for text, reward in zip(completions, rewards.tolist(), strict=True):
    print(f"{reward:.3f}  {text}")

# %% [markdown]
# **Advantages.** How much better is each rollout than its own group? Subtract the group's mean,
# divide by the group's standard deviation. No second network has to estimate how hard the
# question is: the group itself says so. First by hand, then with the course's function.

# %%
from radvlm_course.training.grpo_math import group_advantages

by_hand = (rewards - rewards.mean()) / rewards.std()
advantages = group_advantages(rewards, group_size=4)
print(f"mean {rewards.mean():.3f}, standard deviation {rewards.std():.3f}")
print("by hand:          ", [f"{value:+.2f}" for value in by_hand.tolist()])
print("group_advantages: ", [f"{value:+.2f}" for value in advantages.tolist()])

# %% [markdown]
# **Loss.** Every token of a rollout shares its rollout's advantage. To see the machinery without
# a language model, let each rollout be a single token and the policy a row of four logits, one
# for each answer, all equally likely. Lowering the loss by one gradient step must make the good
# answers likelier and the bad ones less likely. Nothing else is going on in GRPO.

# %%
from radvlm_course.training.grpo_math import grpo_loss

logits = torch.zeros(4, requires_grad=True)
logps = torch.log_softmax(logits, dim=0).unsqueeze(1)  # (4 rollouts, 1 token)
sampled, reference, mask = logps.detach(), logps.detach(), torch.ones(4, 1)

loss, watched = grpo_loss(logps, sampled, reference, advantages, mask)
loss.backward()
after = torch.softmax(logits.detach() - 1.0 * logits.grad, dim=0)

print(f"loss {loss.item():+.4f}")
for text, advantage, chance in zip(completions, advantages.tolist(), after.tolist(), strict=True):
    print(f"advantage {advantage:+.2f}   probability 0.25 -> {chance:.2f}   {text}")

# %% [markdown]
# The loss is about 0, and that is no mistake: advantages of a group add up to zero. **In GRPO the
# value of the loss says nothing about quality; its gradient does all the work.** What to watch
# instead comes in section 5.
#
# Now repeat: sample a group of eight from the policy, score it, take a step, sample again.

# %%
from radvlm_course.training.toy_policy import train_toy_policy
from radvlm_course.viz.objective import draw_toy_runs

values = rewards.tolist()
names = [f"{text}   earns {value:.2f}" for text, value in zip(completions, values, strict=True)]
draw_toy_runs({"Small steps, equal chances at the start": train_toy_policy(values)}, names)

# %% [markdown]
# ## 3. The clip and the leash
#
# Two parts of the loss keep the policy from running away.
#
# **The clip.** Sampling is slow, so one may want to take several updates on the same rollouts.
# After the first update the policy is no longer the one that wrote them. The loss watches the
# ratio of a token's probability now to its probability when it was sampled. Once a token of a
# good rollout has become 28% likelier, or one of a bad rollout 20% less likely, its gradient is
# cut to zero: it has moved far enough on this evidence. The upper bound is looser (0.28 against
# 0.20) so that rare tokens of good answers may grow. Read the figure from "just sampled"
# outwards.

# %%
from radvlm_course.viz.objective import draw_clipped_objective, draw_kl_leash

draw_clipped_objective(epsilon_low=0.20, epsilon_high=0.28)

# %% [markdown]
# Notice what the clip does *not* limit: a token of a bad rollout that has become likelier (right
# panel, right half) keeps its full gradient, and is pushed back.
#
# **The leash.** The second part is the KL divergence from the **reference**, the model that
# training started from: a number of nats that is 0 while both agree on every token and grows as
# they part. It is added to the loss with a small weight (0.01). To compute it exactly one would
# need the whole vocabulary at each token; the estimator **k3** needs only the token that was
# sampled:
#
# $$k_3 = e^{d} - d - 1, \qquad d = \log\frac{\text{reference}}{\text{policy}}$$
#
# It is never negative, right on average, and, as long as the two are near, much steadier than the
# plain log-ratio.

# %%
draw_kl_leash()

# %% [markdown]
# What does a leash do to a policy? The toy from above, with the KL weight raised a lot: it still
# prefers the best answer, but stays near its equal start. Too long a leash and the policy may
# forget what it knew; too short and it cannot learn.

# %%
weights = (0.01, 0.5, 2.0)
leashes = {f"KL weight {w:g}": train_toy_policy(values, kl_weight=w) for w in weights}
draw_toy_runs(leashes, names)

# %% [markdown]
# ## 4. A real group
#
# Enough toys. This is the model that GRPO starts from, and eight questions about films that are
# neither trained nor tested on. Each is asked eight times at **temperature** 1, which means that
# tokens are drawn with exactly the probabilities that the model gives them.

# %%
from radvlm_course.evaluation.predict import complete
from radvlm_course.models.loading import load_model

grpo_folder = course.ensure("grpo_grounding")
start = course.run.summary("grpo_grounding")["start"]
max_pixels = course.profile.model.max_pixels
before_model = load_model(start, max_pixels=max_pixels)
minutes = course.run.summary("grpo_grounding")["seconds"] / 60
print(f"GRPO started from {start} and took {minutes:.1f} minutes")

# %%
from radvlm_course.training.groups import make_group
from radvlm_course.viz.groups import draw_group_spread

torch.manual_seed(0)
prompts = course.examples("validation", "abnormality_grounding")[:8]
eightfold = [example for example in prompts for _ in range(8)]
texts = [text for text, _ in complete(before_model, eightfold, max_new_tokens=64, temperature=1.0)]
groups = [make_group(e, texts[8 * i : 8 * i + 8], "soft_f1") for i, e in enumerate(prompts)]
draw_group_spread(groups, "Eight prompts, eight rollouts each")

# %% [markdown]
# Each row is a group, each dot a rollout, the bar its mean. Spread is what GRPO lives on. Look at
# the group at the top, the one with the most to learn from: every rollout drawn on its film, its
# reward, and its advantage as a bar around zero. (Step 0 means: before any training.)

# %%
from radvlm_course.viz import show_boxes_together, show_group
from radvlm_course.viz.groups import by_spread

widest = by_spread(groups)[0]
asked = next(example for example in prompts if example.id == widest[0].example_id)
show_group(asked.image_path, widest, asked.boxes, asked.question)

# %% [markdown]
# A rollout above its group's mean is reinforced even if it is poor in itself, and a decent one in
# a strong group is discouraged. That is meant by *group relative*: GRPO never asks whether an
# answer is good, only whether it is better than what this model usually says to this question.
#
# ### Three steps of the real trainer
#
# The stage itself uses TRL's `GRPOTrainer`, with settings from the profile. Here it runs for
# three steps on four questions, into a temporary folder, so that you see the very call.

# %%
import tempfile

from radvlm_course.training.groups import quietly
from radvlm_course.training.grpo import run_grpo

options = {
    **course.profile.grpo_grounding.trainer,
    "max_steps": 3,
    "steps_per_generation": 1,  # one update a generation
    "per_device_train_batch_size": 32,  # 4 prompts, 8 rollouts each
    "save_strategy": "no",
    "disable_tqdm": True,
}
handful = course.examples("train", "abnormality_grounding")[:16]
scratch = tempfile.TemporaryDirectory()
with quietly():
    trainee = load_model(start, max_pixels=max_pixels)
    run_grpo(*trainee, handful, ["soft_f1"], scratch.name, options, seed=0)

# %% [markdown]
# The folder now holds what every GRPO run of the course leaves: a line of metrics for each step,
# and every single rollout. Three steps teach nothing; they show that it runs.

# %%
from radvlm_course.runs import read_metrics, read_rollouts

for row in read_metrics(scratch.name):
    print(
        f"step {row['step']}: reward {row['reward']:.3f}   spread {row['reward_std']:.3f}   "
        f"KL {row['kl']:.5f}   loss {row['loss']:+.4f}"
    )
live = read_rollouts(scratch.name)
print(f"{len(live)} rollouts recorded, such as: {live[-1].completion!r} -> {live[-1].reward:.2f}")

# %% [markdown]
# ## 5. The real run
#
# `course.ensure("grpo_grounding")` was called above: a run that `make course` has already made is
# found; otherwise the call makes it, in about five to eight minutes. Its curves, one panel at a
# time:
#
# - **Reward**: mean soft-F1 of the rollouts. It should rise, with noise: every step asks other
#   questions. It is measured on *sampled* answers to *training* films, so it is not the result.
# - **Spread within groups**: the standard deviation that the advantages are divided by, and the
#   share of groups that have none. When that share nears 1, training has run out of signal.
# - **KL**: distance from the start. A slow climb is the policy moving; a jump is a warning.
# - **Length**: tokens per answer. For boxes it should stay where it was: one box, one length.
#   Growth here would mean that the model is writing extra boxes.
# - **Entropy**: how undecided the policy is at each token. It falls as the policy grows surer. At
#   zero all eight rollouts are the same and nothing is left to compare.
# - **Loss**: hovers around zero, as by hand in section 2 (not exactly there, because answers
#   differ in length). Leave it alone.

# %%
from radvlm_course.viz import grpo_curves

grpo_curves(grpo_folder, "GRPO on abnormality grounding, reward soft-F1")

# %% [markdown]
# Two more gauges. The **clipped share** counts tokens whose gradient the clip has cut. In the first
# update after a sampling the ratio is still 1 and the share is 0 by construction, and this tier takes
# only one; in later ones (the paper takes four) it need not be, and a large share means that the
# steps are too big. The **gradient norm** is the length of the gradient:
# spikes say that single batches pull much harder than others.

# %%
from radvlm_course.viz.curves import Panel

gauges = (
    Panel(
        "Clipped share of tokens",
        {"clip_ratio/region_mean": "clipped"},
        "0 with one update a sampling",
    ),
    Panel("Gradient norm", {"grad_norm": "gradient norm"}, "watch for spikes"),
    Panel("Learning rate", {"learning_rate": "learning rate"}, smooth=False),
)
grpo_curves(grpo_folder, panels=gauges)

# %% [markdown]
# Numbers are one thing; what did the model write? The browser leafs through all recorded groups.
# With a live kernel it has two sliders; here are the first and the last step as they stand.

# %%
from radvlm_course.viz import RolloutBrowser

rollouts = read_rollouts(grpo_folder)
examples = {example.id: example for example in course.examples("train", "abnormality_grounding")}
browser = RolloutBrowser(rollouts, examples)
browser

# %%
last = RolloutBrowser(rollouts, examples)
last.step = max(last.groups)
last

# %% [markdown]
# And all groups of the last step at a glance: how many still have a spread?

# %%
from radvlm_course.viz.groups import groups_of

draw_group_spread(groups_of(rollouts, step=last.step), f"Rewards of each group at step {last.step}")

# %% [markdown]
# ## 6. Before and after, on films never seen
#
# Training reward is not the result. Here both models, the one that GRPO started from and the one
# that came out, answer the same held-out questions **greedily** (always the likeliest token, no
# chance involved).

# %%
import random

held_out = course.examples("test", "abnormality_grounding")
chosen = random.Random(0).sample(held_out, min(64, len(held_out)))
after_model = load_model(course.run.model_folder("grpo_grounding"), max_pixels=max_pixels)
boxes_before = [parse_boxes(text) for text, _ in complete(before_model, chosen, 64)]
boxes_after = [parse_boxes(text) for text, _ in complete(after_model, chosen, 64)]
score_before = [soft_f1(b, e.boxes) for b, e in zip(boxes_before, chosen, strict=True)]
score_after = [soft_f1(b, e.boxes) for b, e in zip(boxes_after, chosen, strict=True)]
print(f"{len(chosen)} held-out questions")

# %%
from radvlm_course.viz.groups import choose_along_change, draw_changes

draw_changes(score_before, score_after, "soft-F1", ("before GRPO", "after GRPO"))

# %% [markdown]
# Some questions gain, some lose; the mean hides both. The films below are chosen by rule, not by
# taste: evenly from the one that gained most (left) to the one that lost most (right).

# %%
from radvlm_course.viz import before_after

picked = choose_along_change(score_before, score_after, 4)
before_after(
    [chosen[i].image_path for i in picked],
    [chosen[i].boxes for i in picked],
    [boxes_before[i] for i in picked],
    [boxes_after[i] for i in picked],
    titles=[chosen[i].question for i in picked],
    names=("before GRPO", "after GRPO"),
)

# %% [markdown]
# ### The whole test set, with intervals
#
# The stage `evaluate` asks every model every held-out question. The dots are means, the lines 95%
# intervals by a **bootstrap** over patients (draw patients with replacement, recompute, two
# thousand times). Hollow dots answer without looking at the film: whatever they score is free.

# %%
from radvlm_course.evaluation.summary import is_prior, read_scores
from radvlm_course.viz import dot_plot

folder = course.ensure("evaluate")
results = {}
for name, found in read_scores(folder).items():
    if metrics := found.tasks.get("abnormality_grounding"):
        results[name] = {"soft-F1": metrics["soft_f1"], "mAP@0.5": metrics["map50"]}
free = [name for name in results if is_prior(name)]
dot_plot(results, title="Abnormality grounding, held-out films", baselines=free)

# %% [markdown]
# Whether GRPO helped is not read from two overlapping intervals but from the **paired
# difference**: the same films under both models. An interval that lies above zero is a gain that
# the choice of patients does not explain; one that contains zero is not a result.
#
# Look at the rows of `grpo_grounding`, and at panels that it did **not** train as well:
# structures of the anatomy (it was trained on abnormalities only) and reports. One model does
# everything, and training one skill can wear down another. A pink mark there is the price. (For
# length neither direction is better; there the colour only says that it changed.)

# %%
from radvlm_course.evaluation.differences import read_differences
from radvlm_course.viz.comparisons import draw_differences

panels = {
    "abnormality grounding: soft-F1": ("abnormality_grounding", "soft_f1"),
    "abnormality grounding: mAP@0.5": ("abnormality_grounding", "map50"),
    "anatomical grounding: soft-F1": ("anatomical_grounding", "soft_f1"),
    "reports: GLEU": ("report_generation", "gleu"),
    "reports: finding F1": ("report_generation", "finding_f1_micro"),
    "reports: length in words": ("report_generation", "words"),
}
pairs = read_differences(folder)
changes = {}
for title, (task, metric) in panels.items():
    changes[title] = {pair: tasks[task][metric] for pair, tasks in pairs.items()}
draw_differences(changes)

# %% [markdown]
# ## 7. Failure gallery
#
# Three ways to train for hours and learn nothing. Each is shown live, small.
#
# **A group whose rewards are all equal.** Four times the same answer, or four times nothing: mean
# equals reward, every advantage is zero, and the reward has no pull left (only the leash still
# has). It happens at both ends, when a question is hopeless and when it is solved. Cure:
# questions of middling difficulty, temperature 1, larger groups. Gauge: `frac_reward_zero_std`.

# %%
same = make_group(asked, ["[0.40, 0.40, 0.60, 0.60]"] * 4, "soft_f1")
show_boxes_together(asked.image_path, same, asked.boxes, asked.question, width=3.0)

# %% [markdown]
# **Boxes in another space.** Qwen3-VL writes boxes in thousandths of the film when it is not told
# otherwise. The reward expects fractions, and does not guess: a perfect box in the wrong space
# earns nothing. The whole group earns nothing, so there is nothing to compare, and the model
# never finds out. Cure: fine-tune on the right format first, and *look* at a group before
# starting a long run.

# %%
right = asked.boxes[0]
thousandths = str([round(1000 * edge) for edge in right.to_list()])
group = make_group(asked, [thousandths] * 4, "soft_f1")
print("written:", thousandths)
print("rewards:", [r.reward for r in group], " advantages:", [r.advantage for r in group])
print("read as thousandths it would have been", parse_boxes(thousandths, space="thousandths"))

# %% [markdown]
# **Too high a learning rate.** The toy once more. With small steps it finds the best answer. With
# leaps it bets everything on the first lucky group: from then on all rollouts are equal, there is
# no spread, and no way back (how often this goes wrong is counted below the picture). Right: the
# best answer was nearly impossible at the start. A policy can only reinforce what it samples,
# which is why supervised training comes first.

# %%
common = {"group_size": 4, "start": [0.4, 0.15, 0.25, 0.2]}
rare = {"group_size": 8, "start": [0.5, 0.02, 0.28, 0.2]}
failures = {
    "Small steps (learning rate 0.3)": train_toy_policy(values, seed=3, **common),
    "Leaps (learning rate 10)": train_toy_policy(values, learning_rate=10, seed=3, **common),
    "Best answer at 2% at the start": train_toy_policy(values, seed=3, **rare),
}
draw_toy_runs(failures, names)

# %%
for rate in (0.3, 10):
    runs = [train_toy_policy(values, learning_rate=rate, seed=n, **common) for n in range(20)]
    found = sum(run.probabilities[-1][1] > 0.5 for run in runs)
    print(f"learning rate {rate:4}: the best answer won in {found} of 20 runs")

# %% [markdown]
# In a real run the signs are: KL that jumps instead of creeping, entropy that collapses within a
# few steps, a growing share of groups without spread, and a reward that rises at first and then
# falls below where it began. The learning rate is the first thing to lower.
#
# **What would a policy game?** Try to cheat: repeat the right box, spray boxes everywhere, cover
# the whole film. Under soft-F1 none of these beats one careful box. A box that covers too much
# does earn a little everywhere, more so under the published formula, and is a safe bet for a
# model that does not know where to look. Look for it in the pictures of section 6.

# %%
strays = [Box(0.02 + 0.1 * n, 0.85, 0.08 + 0.1 * n, 0.95) for n in range(4)]
tricks = {
    "the exact box": [truth],
    "the exact box, three times": [truth] * 3,
    "the exact box and four strays": [truth, *strays],
    "a box of three times the area": [Box(0.21, 0.40, 0.93, 0.64)],
    "the whole film": [Box(0, 0, 1, 1)],
}
print(f"{'':30s}  paper  published")
for trick, boxes in tricks.items():
    paper, published = (soft_f1(boxes, [truth], variant) for variant in ("paper", "published"))
    print(f"{trick:30s}  {paper:5.2f}  {published:9.2f}")

# %% [markdown]
# ## 8. Your turn
#
# Replace the dots with your answer and run the cell. A wrong answer gets a hint. Worked solutions
# are in `notebooks/solutions/`.
#
# **05.1** Four rollouts earned 0.8, 0.6, 0.4 and 0.2. What are their advantages? Compute by hand:
# the mean, then the standard deviation (with n - 1), then four numbers. Two decimals are enough.

# %%
from radvlm_course.exercises import check

answer_1 = ...  # for example [1.0, 0.5, -0.5, -1.0]
check("05.1", answer_1)

# %% [markdown]
# **05.2** One true box, `[0.2, 0.2, 0.6, 0.6]`. A rollout writes two boxes: `[0.2, 0.2, 0.6,
# 0.4]` and `[0.7, 0.7, 0.9, 0.9]`. What is its soft-F1?

# %%
answer_2 = ...  # a number
check("05.2", answer_2)

# %% [markdown]
# **05.3** Four groups earned these rewards. In which group does the best rollout get the largest
# advantage, and so the strongest push?
#
# | group | rewards |
# |---|---|
# | A | 0.9, 0.9, 0.9, 0.9 |
# | B | 0.0, 0.0, 0.0, 0.3 |
# | C | 0.2, 0.4, 0.6, 0.8 |
# | D | 0.7, 0.7, 0.8, 0.8 |

# %%
answer_3 = ...  # "A", "B", "C" or "D"
check("05.3", answer_3)

# %% [markdown]
# ## What to take along
#
# - The reward is the specification. soft-F1 has a slope wherever boxes touch and charges for stray
#   and missing boxes; write down which formula you use. mAP@0.5 measures, but does not teach.
# - An advantage compares a rollout with its own group. No spread, no learning.
# - The clip limits one sampling, the KL limits the whole run. Watch KL, entropy and spread, not
#   the loss.
# - The result is the paired difference on held-out films, with its interval, on the trained task
#   *and* on the others.
#
# Next: **06, unified evaluation**, where every model of the run is measured on every task. The
# same method with a text reward, which is easier to fool, is in **04**.

# %%
scratch.cleanup()
