# %% [markdown]
# # 04 · GRPO for reports
#
# `laptop tier` · `about 1 minute on 2 CPU cores` · `under 2 GB of memory` ·
# `needs the stages sft, grpo_reports and evaluate: found, or made here, which takes longer`
#
# The fine-tuned model writes reports by imitating reports, one word after the other. It was never
# told whether a *whole* report was good. In this notebook it writes eight reports on each film,
# each is compared with the reference, and the better ones become likelier. The hard part is not
# the training. It is the word "better".
#
# **After this notebook you can**
#
# 1. compute GLEU, a text reward, by hand, and name what it cannot see;
# 2. predict what a policy that is paid for a reward will do, before it does it, with a lab that
#    needs no training;
# 3. turn four reports into rewards, advantages and a loss, and say why long reports weigh more;
# 4. read the curves of the run, and check on held-out films whether facts improved or only words.
#
# Everything here happens on synthetic radiographs (PhantomCXR). It is for research and teaching;
# nothing in it says anything about the diagnosis of patients.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline(current="grpo_reports")

# %% [markdown]
# ## 1. A text reward by hand
#
# Training with reinforcement needs one number for each report, the **reward**. The cheapest way
# to compare two texts is to count what they share. An **n-gram** is a run of n words (punctuation
# counts as a word). **GLEU** collects all runs of one to four words from both texts, counts how
# many are in both, and divides by the larger of the two totals. Add words that are not in the
# reference and the total grows; leave words out and less is shared. Here it is on two short
# reports.

# %%
from collections import Counter

reference = "No pleural effusion or pneumothorax ."
response = "There is no pleural effusion ."


def runs(text):
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in (1, 2, 3, 4) for i in range(len(words) - n + 1))


shared = runs(reference) & runs(response)
print("shared runs:", *(" ".join(run) for run in shared), sep="\n   ")
totals = runs(reference).total(), runs(response).total()
print(f"{shared.total()} shared, {totals[0]} in the reference, {totals[1]} in the response")
print(f"GLEU = {shared.total()} / {max(totals)} = {shared.total() / max(totals):.3f}")

# %% [markdown]
# "No" and "no" do not count as shared: case matters. The course's reward gives the same number
# (it separates words from punctuation by itself), and a picture of the count:

# %%
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.viz.scoring import draw_ngrams

gleu = get_reward("gleu")
reference = "No pleural effusion or pneumothorax."
response = "There is no pleural effusion."
asked = Example("toy", "report_generation", "", "Write a report.", reference)
print(f"gleu: {gleu([response], [asked])[0]:.3f}")
draw_ngrams(response, reference)

# %% [markdown]
# ## 2. Four reports, and what the reward makes of them
#
# One reference and four reports that somebody might write instead:
#
# - **paraphrase**: says the same in other words. A radiologist would accept it.
# - **wrong side**: one word differs, and the patient would be punctured on the healthy side.
# - **omission**: everything right, the finding left out.
# - **normal for everything**: the report of a normal film, whatever the film shows.
#
# Before you run the next cells: in which order would *you* rank them?

# %%
effusion = "The heart size is normal. Small left pleural effusion. The lungs are otherwise clear."
effusion += " No pneumothorax is seen."
normal = "Normal chest radiograph. The heart size is normal. The lungs are clear."
normal += " There is no pleural effusion or pneumothorax."
asked = Example("toy", "report_generation", "", "Write a report.", effusion)
candidates = {
    "paraphrase": "Little fluid, a left effusion. Normal heart. Clear lungs, without pneumothorax.",
    "wrong side": effusion.replace("left", "right"),
    "omission": effusion.replace("Small left pleural effusion. ", ""),
    "normal for everything": normal,
}

# %%
from radvlm_course.phantoms import report_findings
from radvlm_course.viz import compare_reports

compare_reports(candidates, effusion, findings_of=report_findings)

# %% [markdown]
# The blue shades are what GLEU sees. The grey line below each report is what it does not see: the
# findings, with their sides, as a rule-based **labeller** reads them out of the text. (It knows
# the grammar of the phantoms' reports; for real reports one needs models such as CheXbert or
# RadGraph.)
#
# Now the scores. **ROUGE-L** is another count of words: the longest common subsequence. The third
# column compares facts: the F1 score of the pairs of finding and side.

# %%
from IPython.display import Markdown

from radvlm_course.viz.pairs import markdown_table
from radvlm_course.viz.scorecard import draw_scorecard, score_reports

card = score_reports(candidates, asked, report_findings)
columns = list(card["paraphrase"])
Markdown(
    markdown_table(
        ["report", *columns],
        [[name, *(round(row[c], 2) for c in columns)] for name, row in card.items()],
    )
)

# %%
draw_scorecard(card, "One reference, four reports")

# %% [markdown]
# The order is upside down. The only acceptable report earns the least; the dangerous one earns
# the most. GLEU is not useless: among reports in the style of the reference, one with more right
# sentences shares more runs. But training does not stay among those. It looks for whatever raises
# the number.
#
# **What would a policy game?** It learns the stock phrases, because they are worth as much as the
# finding. If most films have little wrong with them, a normal report for everything is a fair
# living. This is what one and the same report earns on all training films, without a look at
# them:

# %%
reports = course.examples("train", "report_generation")
constant = gleu([normal] * len(reports), reports)
abnormal = [bool(report_findings(example.answer)) for example in reports]
for name, wanted in (("films without a finding", False), ("films with findings", True)):
    values = [value for value, found in zip(constant, abnormal, strict=True) if found == wanted]
    print(f"{name:24s} {len(values):5d} reports, mean GLEU {sum(values) / len(values):.3f}")
print(f"{'all':24s} {len(constant):5d} reports, mean GLEU {sum(constant) / len(constant):.3f}")

# %% [markdown]
# Keep the last number in mind: a model has learned to look only as far as it earns more than
# that.
#
# The paper trained one model with each of several rewards, and plain GLEU came close to RadCliQ, a
# composite of several models' scores that takes far longer to compute. A cheap reward is a fair
# start, if one knows what it cannot see.

# %% [markdown]
# ## 3. The reward lab
#
# Four reports by hand were a start. To know a reward before one trains on it, one needs many
# reports, each wrong in one known way, and many films. The lab makes them. A phantom's report was
# written by a grammar, so the same grammar can say the same in other words, swap a side, change a
# grade, or leave a finding out. Nothing in this section needs a trained model.
#
# One film and nine reports:

# %%
import numpy as np

from radvlm_course.phantoms.film import plan_film
from radvlm_course.rewards.lab.candidates import KINDS, make_candidates
from radvlm_course.rewards.lab.survey import phantom_example

lab_film = plan_film(seed=312)
lab_example = phantom_example(lab_film)
nine = make_candidates(lab_film, np.random.default_rng(0))
Markdown(markdown_table(["report", "text"], nine.items()))

# %% [markdown]
# And the rewards. Two count words: `gleu` and `rouge_l`. Three compare **facts** as the labeller
# reads them; a fact is a finding with its side, or that a finding is absent:
#
# - `fact_precision`: of the facts that the report states, how many are right;
# - `fact_recall`: of the facts in the reference, how many the report states;
# - `fact_f1`: both in one number.
#
# The paper's clinical rewards run models. This cell looks whether their weights are on this
# machine; where they are, every cell below uses them too.

# %%
from radvlm_course.rewards.lab.published import ready_rewards

readiness = ready_rewards()
cheap = ["gleu", "rouge_l", "fact_precision", "fact_recall", "fact_f1"]
rewards_to_try = [get_reward(name) for name in (*cheap, *readiness.ready)]
Markdown(readiness.to_markdown())

# %% [markdown]
# Only two of the nine reports are acceptable: the reference and the paraphrase. So every wrong
# report that earns as much as the paraphrase is framed.

# %%
from radvlm_course.rewards.lab.survey import score_candidates
from radvlm_course.viz import draw_reward_table

draw_reward_table(
    score_candidates(nine, lab_example, rewards_to_try),
    notes={kind: about.says for kind, about in KINDS.items()},
    right=[kind for kind, about in KINDS.items() if about.right],
    yardstick="paraphrase",
    title="One film, nine reports",
)

# %% [markdown]
# Read it by columns. Rewards of words pay every mistake better than the paraphrase: a flipped
# negation is one short word. Rewards of facts see it, and have gaps of their own. None of the
# three knows severity, so "small" and "large" are the same. Precision does not miss what was left
# out; recall does not mind what was made up.
#
# Try a report of your own. In a live notebook an input box appears below the picture. Can you find
# a report that no radiologist would sign and that all bars like?

# %%
from radvlm_course.viz import ReportLab

ReportLab(
    lab_example,
    nine,
    rewards_to_try,
    start="wrong side",
    marks=["paraphrase", "normal for all"],
    film=lab_film.picture(256),
    findings_of=report_findings,
)

# %% [markdown]
# ### The clinical rewards, as others measured them
#
# The RadEval project published how such rewards judge five pairs of sentences. The picture shows
# its figures, not ours. The paraphrase ("Mild cardiomegaly", "the cardiac silhouette is mildly
# enlarged") earns nothing from BLEU and nothing from RadGraph. The flipped negation earns 0.893
# from BERTScore. A model inside a reward does not make it see.

# %%
from radvlm_course.rewards.lab.published import PublishedRewards, PublishedTraining
from radvlm_course.viz.published import draw_published_costs, draw_published_pairs

others = PublishedRewards.load()
draw_published_pairs(others)

# %% [markdown]
# Nor is it free. A step of the paper's training scores 4,096 reports: at 160 milliseconds each
# that is eleven minutes, one after the other. (`docs/rewards.md` says how this course batches
# them.)

# %%
draw_published_costs(others)

# %% [markdown]
# ### What would a policy game?
#
# A policy cannot write the nine reports above: they were made from the reference, which it does
# not see. What it *can* do is read the film as well as it is able to and report that; or report
# less, or more, or not look at all. Here an **honest reader** is simulated: it misses a quarter
# of the findings, misgrades a quarter, mirrors some and makes some up, and writes down what it
# read. A way of writing that earns clearly *more* than this reader is what the policy drifts to.

# %%
from radvlm_course.rewards.lab.survey import survey_rewards
from radvlm_course.viz import draw_margins

n_films = 24 if readiness.ready else 120  # models take their time on a CPU
survey = survey_rewards(range(n_films), rewards_to_try)
draw_margins(survey, "What pays, on average over many films")

# %% [markdown]
# Three blocks, each with its own yardstick.
#
# - **A flawless report in other words** earns *less* than the honest, imperfect one under GLEU.
#   The reward prefers usual words with errors to unusual words without.
# - **Strategies.** Precision pays the reader who states one sentence and stops. Recall pays the
#   one who affirms everything and denies everything. F1 pays neither.
# - **Mistakes.** In the words of the reference every mistake beats the paraphrase under GLEU and
#   ROUGE-L. A policy that has learned the usual wording has little reason left to look for the
#   side.
#
# In short:

# %%
verdicts = [
    [
        name,
        ", ".join(survey.gamed_by(name)) or "none of these",
        ", ".join(survey.blind_to(name)) or "none of these",
    ]
    for name in survey.rewards
]
Markdown(markdown_table(["reward", "is gamed by", "does not see"], verdicts))

# %% [markdown]
# "None of these" is no certificate. The normal report for every film was not far behind the
# honest reader, and that reader was a fairly good one. Let it grow worse: at which error rate does
# a reward stop paying for looking at the film?

# %%
from radvlm_course.rewards.lab.survey import looking_pays
from radvlm_course.viz.reward_lab import draw_looking_pays

rates = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
draw_looking_pays(rates, looking_pays(range(100), ["gleu", "rouge_l", "fact_f1"], rates))

# %% [markdown]
# In the shaded part the blind report earns more. A policy that starts there, with a model that
# cannot read the film yet, is paid for *not* learning to. It is one more reason to fine-tune
# first: GRPO has to start to the left of the line.
#
# ### Why a reward of facts shortens reports
#
# The paper trained the same model on one reward after the other. Trained on RadGraph alone (F1 of
# facts, strictest match), its reports shrank from 207 to 93 characters, and nearly every other
# measure fell.

# %%
from radvlm_course.viz.published import draw_published_training

draw_published_training(PublishedTraining.load())

# %% [markdown]
# The mechanism fits into four numbers. A reader could state four facts and would be right with
# the chances 0.9, 0.7, 0.5 and 0.2; the reference has four. It states the surest one, or two, and
# so on. The right ones among them are, on average, the sum of their chances.

# %%
chances = [0.9, 0.7, 0.5, 0.2]
for stated in (1, 2, 3, 4):
    right = sum(chances[:stated])
    print(
        f"{stated} stated, {right:.1f} right:   precision {right / stated:.2f}   "
        f"recall {right / 4:.2f}   F1 {2 * right / (stated + 4):.2f}"
    )

# %% [markdown]
# **Precision** is the mean of the chances, and the mean of the surest is best with one fact.
# **Recall** only grows. **F1** grows as long as the next fact's chance is more than half of the F1
# so far: 0.2 is less than half of 0.60, so the fourth fact was one too many.
#
# That rule also explains how an F1 can shorten reports. The right picture below asks for more at
# once: the finding, its side, its grade. Each of these is as uncertain as the finding, so the
# chances are squared and cubed, the unsure facts fall below the line first, and the best report
# gets shorter. RadGraph's strictest level is such a match.

# %%
from radvlm_course.rewards.lab.shortening import expected_scores
from radvlm_course.viz.reward_lab import draw_lengths

sure = np.linspace(0.95, 0.3, 8)  # from the surest fact to the least sure
expected = expected_scores(sure, true=8)
stricter = {
    name: expected_scores(sure**parts, true=8)["f1"]
    for parts, name in enumerate(("finding", "finding and side", "finding, side and grade"), 1)
}
draw_lengths({"Three measures of the same facts": expected, "F1, the stricter the match": stricter})

# %% [markdown]
# And what a policy makes of it. This toy (notebook 05 has more of it) is trained with the real GRPO
# loss; its "answers" are reports of one to eight facts, and it begins with long ones.

# %%
from radvlm_course.training.toy_policy import train_toy_policy
from radvlm_course.viz.reward_lab import draw_policy_lengths

mostly_long = [0.02, 0.02, 0.04, 0.08, 0.14, 0.20, 0.25, 0.25]
toys = {}
for name, values in expected.items():
    toys[name] = train_toy_policy(values[1:].tolist(), steps=200, start=mostly_long)
draw_policy_lengths(toys, range(1, 9))

# %% [markdown]
# The same with the course's rewards on phantoms: the honest reader's reports, cut to the sentences
# that are most often right. Precision is best with one sentence of some 28 characters, usually a
# safe denial such as "No pneumothorax is seen." Recall and F1 want all of the report, or nearly so.

# %%
from radvlm_course.rewards.lab.shortening import measure_lengths
from radvlm_course.rewards.lab.strategies import Reader
from radvlm_course.viz.reward_lab import draw_measured_lengths

measured = {}
for rate in (0.25, 0.5):
    reader = Reader.erring(rate)
    measured[f"reader with error rate {rate}"] = measure_lengths(range(100), reader=reader)
draw_measured_lengths(measured)

# %% [markdown]
# **The cure** is to charge for what was left out: F1 of facts instead of precision, a match that
# is not stricter than the model can meet, or a second reward that counts words (GLEU is the
# smaller of precision and recall, and RadCliQ holds BERTScore; under both the paper's reports kept
# most of their length). One more look at the paper's figures: the RadGraph run ended with a *lower*
# RadGraph score than the runs on RadCliQ and GLEU. Leaving out was the quick way up, not the high
# one. That is our reading of the table; the paper did not measure the chances of single facts.
#
# To see it in a real run, train on it: `grpo_reports.reward` in the profile takes
# `fact_precision`, and `{fact_f1: 1, gleu: 0.5}`, and watch the panel *Length*.
#
# ## 4. From rewards to the loss
#
# Back to the four reports and their GLEU.
#
# GRPO (*group relative policy optimisation*) treats the four reports as a **group** of
# **rollouts**, answers of one model to one prompt. Each gets an **advantage**: its reward minus
# the group's mean, divided by the group's standard deviation. No second network has to judge how
# hard the film is: the group itself says so.

# %%
import torch

from radvlm_course.training.grpo_math import group_advantages

rewards = torch.tensor(gleu(list(candidates.values()), [asked] * 4))
by_hand = (rewards - rewards.mean()) / rewards.std()
advantages = group_advantages(rewards, group_size=4)
print(f"mean {rewards.mean():.3f}, standard deviation {rewards.std():.3f}")
for name, reward, first, second in zip(candidates, rewards, by_hand, advantages, strict=True):
    print(f"{name:22s} reward {reward:.2f}   by hand {first:+.2f}   group_advantages {second:+.2f}")

# %% [markdown]
# Read the signs: this step would make the wrong side likelier and the paraphrase less likely. The
# arithmetic is right; the reward was the mistake.
#
# Every token of a report shares its report's advantage. The **loss** sums, over all tokens,
# advantage times the change of the token's probability, with a clip (a token that has moved far
# enough is left alone) and a leash (the KL divergence from the starting model, weight 0.01).
# Notebook 05 draws both. Here is the loss of two invented reports of three and six tokens, the
# first good, the second bad.

# %%
from radvlm_course.training.grpo_math import grpo_loss

logps = torch.full((2, 6), -1.0, requires_grad=True)  # log-probability of each token, now
sampled, reference_model = torch.full((2, 6), -1.0), torch.full((2, 6), -1.2)
mask = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]])  # 0: the report has ended
two = torch.tensor([1.0, -1.0])

loss, watched = grpo_loss(logps, sampled, reference_model, two, mask)
loss.backward()
print(f"loss {loss.item():+.3f}, KL {watched['kl']:.4f}, clipped {watched['clip_fraction']:.0%}")
print("push on each token (up is +):")
print((-logps.grad).numpy().round(3))

# %% [markdown]
# The good report's tokens are pushed up, the bad one's down, padding not at all. Each token's
# push is equally strong, so the long report weighs twice as much in total (and that is why the
# loss itself is not zero here, although the two advantages add up to zero). That is a choice,
# called **token mean**, and the paper's. The alternative gives each report the same weight, so
# that a token of a long report counts less; then a long bad report is punished more gently than a
# short one, and reports may grow.

# %%
for how in ("token_mean", "sequence_mean"):
    fresh = torch.full((2, 6), -1.0, requires_grad=True)
    grpo_loss(fresh, sampled, None, two, mask, kl_weight=0, how=how)[0].backward()
    push = -fresh.grad
    print(
        f"{how:14s} a token of the short report {push[0, 0]:+.3f}, of the long {push[1, 0]:+.3f}; "
        f"whole reports {push[0].sum():+.2f} and {push[1].sum():+.2f}"
    )

# %% [markdown]
# ## 5. A real group
#
# This is the model that GRPO starts from, with four films that are neither trained nor tested on.
# It writes eight reports on each, at **temperature** 1: words are drawn with exactly the
# probabilities that the model gives them.

# %%
from radvlm_course.evaluation.predict import complete
from radvlm_course.models.loading import load_model

grpo_folder = course.ensure("grpo_reports")
start = course.run.summary("grpo_reports")["start"]
max_pixels = course.profile.model.max_pixels
before_model = load_model(start, max_pixels=max_pixels)
minutes = course.run.summary("grpo_reports")["seconds"] / 60
print(f"GRPO started from {start} and took {minutes:.1f} minutes")

# %%
from radvlm_course.training.groups import make_group
from radvlm_course.viz.groups import by_spread, draw_group_spread

torch.manual_seed(0)
prompts = course.examples("validation", "report_generation")[:4]
eightfold = [example for example in prompts for _ in range(8)]
texts = [text for text, _ in complete(before_model, eightfold, max_new_tokens=96, temperature=1.0)]
groups = [make_group(asked, texts[8 * i : 8 * i + 8], "gleu") for i, asked in enumerate(prompts)]
draw_group_spread(groups, "Four films, eight reports each")

# %% [markdown]
# Each row is a film, each dot a report, the bar their mean. Spread is what GRPO lives on. The
# group with the widest spread in full: each report with the words that it shares with the
# reference, the findings it got, missed or made up, its reward and its advantage. (Step 0 means:
# before training.)

# %%
from radvlm_course.viz import show_reports

widest = by_spread(groups)[0]
shown = next(example for example in prompts if example.id == widest[0].example_id)
show_reports(widest, shown.answer, shown.image_path, shown.question, findings_of=report_findings)

# %% [markdown]
# Go through it as a reader, not as a trainer. Is the report with the largest advantage also the
# one with the right findings? Where the two part, training will follow the number.
#
# ### Three steps of the real trainer
#
# The stage itself uses TRL's `GRPOTrainer`, with settings from the profile. Here it runs for
# three steps on a handful of films, into a temporary folder, so that you see the very call.

# %%
import tempfile

from radvlm_course.training.groups import quietly
from radvlm_course.training.grpo import run_grpo

options = {
    **course.profile.grpo_reports.trainer,
    "max_steps": 3,
    "steps_per_generation": 1,  # one update a generation
    "per_device_train_batch_size": 32,  # 4 films, 8 reports each
    "save_strategy": "no",
    "disable_tqdm": True,
}
scratch = tempfile.TemporaryDirectory()
with quietly():
    trainee = load_model(start, max_pixels=max_pixels)
    run_grpo(*trainee, reports[:12], ["gleu"], scratch.name, options, seed=0)

# %% [markdown]
# The folder now holds what every GRPO run of the course leaves: a line of metrics for each step,
# and every report that was written. Three steps teach nothing; they show that it runs.

# %%
from radvlm_course.runs import read_metrics, read_rollouts

for row in read_metrics(scratch.name):
    print(
        f"step {row['step']}: reward {row['reward']:.3f}   spread {row['reward_std']:.3f}   "
        f"KL {row['kl']:.5f}   tokens {row['completions/mean_length']:.1f}"
    )
live = read_rollouts(scratch.name)
print(f"{len(live)} reports recorded, the last one:\n{live[-1].completion}")

# %% [markdown]
# ## 6. The real run
#
# `course.ensure("grpo_reports")` was called above: a run that `make course` has already made is
# found; otherwise the call makes it, in about three to five minutes. Its curves, one panel at a
# time:
#
# - **Reward**: mean GLEU of the sampled reports on training films. It should rise, with noise. It
#   is not the result: it is measured with chance in the sampling, and on films that are trained
#   on.
# - **Spread within groups**: the standard deviation that the advantages are divided by, and the
#   share of groups without any. Texts rarely tie exactly, so that share should stay near zero; if
#   it climbs, the model writes the same report eight times.
# - **KL**: distance from the start, in nats a token. A slow climb is movement, a jump is a
#   warning.
# - **Length**: *the* panel for text rewards. A reward that rises while reports shrink to a
#   phrase, or swell, is being gamed. GLEU charges for both, but only on average.
# - **Entropy**: how undecided the model is at each word. A steady fall means surer and more
#   uniform reports. At zero nothing is left to compare.
# - **Loss**: hovers around zero (good and bad reports pull in opposite directions) and says
#   nothing about quality. Leave it alone.

# %%
from radvlm_course.viz import grpo_curves

grpo_curves(grpo_folder, "GRPO on reports, reward GLEU")

# %% [markdown]
# Three more gauges. The **clipped share** counts tokens whose gradient the clip has cut: in the
# first update after a sampling it is 0 by construction, and this tier takes only one; in later ones
# (the paper takes four) it need not be, and a large share means that the steps are too big. The **cut-off share**
# counts reports that hit the length limit and were never finished; they are scored as they are,
# and a growing share means that the limit is too low or the model has stopped ending its reports.
# The **gradient norm** is the length of the gradient: spikes say that single batches pull much
# harder than others.

# %%
from radvlm_course.viz.curves import Panel

gauges = (
    Panel(
        "Clipped share of tokens",
        {"clip_ratio/region_mean": "clipped"},
        "0 with one update a sampling",
    ),
    Panel(
        "Reports cut off at the limit",
        {"completions/clipped_ratio": "cut off"},
        "should stay near 0",
    ),
    Panel("Gradient norm", {"grad_norm": "gradient norm"}, "watch for spikes"),
)
grpo_curves(grpo_folder, panels=gauges)

# %% [markdown]
# What did the model write? The browser leafs through all recorded groups; with a live kernel it
# has two sliders. Here are the first and the last step as they stand. Compare the *variety* of
# the reports as much as their rewards.

# %%
from radvlm_course.viz import RolloutBrowser

rollouts = read_rollouts(grpo_folder)
examples = {example.id: example for example in reports}
RolloutBrowser(rollouts, examples, findings_of=report_findings)

# %%
last = RolloutBrowser(rollouts, examples, findings_of=report_findings)
last.step = max(last.groups)
last

# %% [markdown]
# ## 7. Before and after, on films never seen
#
# Both models, the one that GRPO started from and the one that came out, report the same held-out
# films **greedily** (always the likeliest word, no chance involved).

# %%
import random

held_out = course.examples("test", "report_generation")
chosen = random.Random(0).sample(held_out, min(48, len(held_out)))
after_model = load_model(course.run.model_folder("grpo_reports"), max_pixels=max_pixels)
text_before = [text for text, _ in complete(before_model, chosen, 96)]
text_after = [text for text, _ in complete(after_model, chosen, 96)]
gleu_before, gleu_after = gleu(text_before, chosen), gleu(text_after, chosen)
for name, written in (("before", text_before), ("after", text_after)):
    words = sum(len(text.split()) for text in written) / len(written)
    print(f"{name:7s} {len(set(written)):3d} different reports, {words:.1f} words each")

# %%
from radvlm_course.viz.groups import choose_along_change, draw_changes

draw_changes(gleu_before, gleu_after, "GLEU", ("before GRPO", "after GRPO"))

# %% [markdown]
# That was the score that was trained. The one that matters: **did the facts improve, or only the
# words?** The same films, scored by findings and their sides, which the reward never saw.

# %%
from radvlm_course.viz.scorecard import finding_agreement

facts = []
for written in (text_before, text_after):
    pairs = zip(written, chosen, strict=True)
    facts.append([finding_agreement(text, e.answer, report_findings) for text, e in pairs])
draw_changes(*facts, "findings and sides (F1)", ("before GRPO", "after GRPO"))

# %% [markdown]
# Three films side by side, chosen by rule and not by taste: the one whose GLEU gained most, the
# one in the middle, the one that lost most.

# %%
most, middle, least = choose_along_change(gleu_before, gleu_after, 3)


def side_by_side(i):
    names = f"before, GLEU {gleu_before[i]:.2f}", f"after, GLEU {gleu_after[i]:.2f}"
    written = dict(zip(names, (text_before[i], text_after[i]), strict=True))
    film, answer = chosen[i].image_path, chosen[i].answer
    return compare_reports(written, answer, film, findings_of=report_findings)


side_by_side(most)

# %%
side_by_side(middle)

# %%
side_by_side(least)

# %% [markdown]
# ### The whole test set, with intervals
#
# The stage `evaluate` lets every model report every held-out film. Dots are means, lines 95%
# intervals by a **bootstrap** over patients (draw patients with replacement, recompute, two
# thousand times). Hollow dots answer without looking at the film: whatever they score is free.

# %%
from radvlm_course.evaluation.summary import is_prior, read_scores
from radvlm_course.viz import dot_plot

folder = course.ensure("evaluate")
results = {}
for name, found in read_scores(folder).items():
    if metrics := found.tasks.get("report_generation"):
        results[name] = {
            "GLEU": metrics["gleu"],
            "ROUGE-L": metrics["rouge_l"],
            "finding F1": metrics["finding_f1_micro"],
        }
free = [name for name in results if is_prior(name)]
dot_plot(results, title="Reports, held-out films", baselines=free)

# %% [markdown]
# Whether GRPO helped is read from the **paired difference**: the same films under both models. An
# interval above zero is a gain that the choice of patients does not explain; one that contains
# zero is not a result.
#
# Look at the rows of `grpo_reports`, and also at the panels that it did **not** train: grounding.
# One model does everything, and paying it for words alone can cost it its eye for boxes. In a
# trial with a similar tiny model (one seed), twice the learning rate gave hardly better reports
# and clearly worse boxes; the profile's value is chosen for that reason. A pink mark among the
# grounding panels is the price. (For length neither direction is better; there the colour only
# says that it changed.)

# %%
from radvlm_course.evaluation.differences import read_differences
from radvlm_course.viz.comparisons import draw_differences

panels = {
    "reports: GLEU": ("report_generation", "gleu"),
    "reports: finding F1": ("report_generation", "finding_f1_micro"),
    "reports: length in words": ("report_generation", "words"),
    "abnormality grounding: soft-F1": ("abnormality_grounding", "soft_f1"),
    "abnormality grounding: mAP@0.5": ("abnormality_grounding", "map50"),
    "anatomical grounding: soft-F1": ("anatomical_grounding", "soft_f1"),
}
pairs = read_differences(folder)
changes = {}
for title, (task, metric) in panels.items():
    changes[title] = {pair: tasks[task][metric] for pair, tasks in pairs.items()}
draw_differences(changes)

# %% [markdown]
# ## 8. Failure gallery
#
# **A group without spread.** Always the same report: each reward equals the mean, every advantage
# is zero, and the reward has no pull left (only the leash still has). Here one stock report, four
# times. It happens when entropy has collapsed. Cure: temperature 1, a KL leash, a lower learning
# rate. Gauge: `frac_reward_zero_std`.

# %%
same = make_group(shown, [normal] * 4, "gleu")
show_reports(same, shown.answer, findings_of=report_findings)

# %% [markdown]
# **A small word.** One "no" turns a report into its opposite, and costs a few runs of words.
# Counting facts instead catches the denial, but has a gap of its own: this labeller takes what is
# affirmed once as affirmed, so the report that says both passes as perfect. Whatever you pay for,
# there is a cheap way to earn it.

# %%
stated = Example("toy", "report_generation", "", "", "There is a small left pleural effusion.")
hedges = {
    "affirmed": "There is a small left pleural effusion.",
    "denied": "There is no small left pleural effusion.",
    "both": "There is a small left pleural effusion. There is no pleural effusion.",
    "nothing": "",
}
card = score_reports(hedges, stated, report_findings)
draw_scorecard(card, "The reference affirms a left effusion")

# %% [markdown]
# **An empty report** (the last row) is worth 0 and no more: nothing crashes, nothing is left out
# of the mean. A scorer that *fails*, on the other hand, must never be turned into a low reward,
# or the policy learns from a broken meter. The course's rewards raise an error that names the
# film.
#
# **Too high a learning rate.** The signs come in this order: KL jumps instead of creeping,
# entropy collapses within a few steps, the groups' spread goes, and the reward falls below where
# it began. By then the model writes one report for everything. Notebook 05 shows the mechanism on
# a toy policy. The learning rate is the first thing to lower; starting again from the checkpoint
# is the second.
#
# ## 9. Your turn
#
# Replace the dots with your answer and run the cell. A wrong answer gets a hint. Worked solutions
# are in `notebooks/solutions/`.
#
# **04.1** The reference is `No pleural effusion .` and the response is `No effusion .` (three
# words with the full stop). What is GLEU? Count runs of one to four words by hand.

# %%
from radvlm_course.exercises import check

answer_1 = ...  # a number
check("04.1", answer_1)

# %% [markdown]
# **04.2** The reference is *Small left pleural effusion. The heart size is normal. No
# pneumothorax is seen.* Rank these reports by the GLEU that they earn, best first. Guess, then
# check.
#
# | | report |
# |---|---|
# | A | Normal heart, no pneumothorax, but a little fluid on the left. |
# | B | Small right pleural effusion. The heart size is normal. No pneumothorax is seen. |
# | C | The heart size is normal. No pneumothorax is seen. |
# | D | Normal chest radiograph. |

# %%
answer_2 = ...  # four letters, such as "ABCD"
check("04.2", answer_2)

# %% [markdown]
# **04.3** After some steps the policy gives a sampled token the probability 0.5; the model that
# training started from gave it 0.25. How large is this token's k3 estimate of the KL, $e^{d} - d
# - 1$ with $d = \log(\text{reference} / \text{policy})$?

# %%
answer_3 = ...  # a number, in nats
check("04.3", answer_3)

# %% [markdown]
# ## What to take along
#
# - A text reward counts words. Rank a few reports under it *before* you train on it: paraphrase,
#   wrong side, omission, normal for everything.
# - Ask of every reward what a policy can do instead of reading. Precision of facts is gamed by
#   saying little, recall by saying everything; F1 charges for both, but a match that is too strict
#   shortens reports as well.
# - The policy finds what pays. Watch length, entropy and variety beside the reward, and score
#   what the reward cannot see.
# - Token mean lets long reports weigh more; it is the paper's choice and it is a choice.
# - The result is the paired difference on held-out films, with its interval, in words, in facts,
#   *and* on the tasks that were not trained.
#
# Next: **05, GRPO for grounding**, where the reward measures boxes, is much harder to fool, and
# the clip and the leash are drawn. **06** evaluates all models on all tasks.

# %%
scratch.cleanup()
