# %% [markdown]
# # 03 · The thinking cold start
#
# `laptop tier` · `about 2 minutes on 2 CPU cores` · `under 2 GB of memory` ·
# `needs the stages sft, cold_start and evaluate: found, or made here, which takes longer`
#
# The model of notebook 02 answers at once. Could it do better if it looked first, in order, and
# said what it sees before it says what it means? Large language models are taught to do so with
# reinforcement, but reinforcement can only make likelier what a model already does now and then.
# A model that has never written a thought needs a **cold start**: a second fine-tuning on answers
# that think first. Where do those come from, what is a good one, and does it help?
#
# **After this notebook you can**
#
# 1. write the two modes of one model, with and without `/think`, as training examples;
# 2. say how a teacher that knows the answer writes honest thoughts, and filter those that are not;
# 3. cold-start a model, and check that it keeps both modes;
# 4. recognise four traps of GRPO with thoughts, and judge whether thinking paid off.
#
# Everything here happens on synthetic radiographs (PhantomCXR). It is for research and teaching;
# nothing in it says anything about the diagnosis of patients.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline(current="cold_start")

# %% [markdown]
# ## 1. One model, two modes
#
# The mode is part of the question. With the suffix ` /think` the model thinks first; without it,
# it answers as before. In the data this is one more field of an `Example`: the **thought**. An
# example without a thought is a direct one. The same function writes both as chat messages, in
# training, in GRPO and in evaluation, so that the three cannot drift apart.

# %%
from dataclasses import replace

from radvlm_course.chat import completion_text, to_prompt_completion

direct = course.examples("train", "abnormality_grounding")[3]
thoughtful = replace(direct, thought="(here the model looks at the film, step by step)")
for example in (direct, thoughtful):
    turns = to_prompt_completion(example)
    print("user:     ", turns["prompt"][0]["content"][1]["text"])
    print("assistant:", completion_text(turns["completion"]), "\n")

# %% [markdown]
# Back from text to parts goes one function as well, `split_thought`. It splits at the **last**
# `</think>`: what follows is the **response**, and only the response is judged. A completion that
# never closes its thought has no response at all. Everything downstream relies on this one rule.

# %%
from radvlm_course.chat import split_thought

for text in (
    "<think>Both angles are sharp.</think> No pleural effusion.",
    "<think>Both angles are sh",
    "No pleural effusion.",
):
    print(f"{text!r:60s} -> {split_thought(text, thinking=True).response!r}")

# %% [markdown]
# (The third line shows why the mode matters: asked to think, a bare answer counts as a thought
# that was never closed. Asked directly, the same text is the response.)
#
# ## 2. A teacher that knows the answer
#
# Who writes the thoughts? The method asks a large vision-language model (Qwen3-VL-235B) that is
# shown the film **and the true answer**, and that is to reason towards it without letting on. The
# authors found this variant, with ground truth, to be the best of three. The teacher is also
# given a guide to reading chest films in a fixed order, so that thoughts are systematic and not
# a good story. This is the guide of the course, as it is sent:

# %%
from IPython.display import Markdown

from radvlm_course.thinking.trace_prompts import guide_text

Markdown("\n".join("> " + line for line in guide_text().splitlines()))

# %% [markdown]
# On the laptop there is no such model, but there is something better: for a phantom the truth is
# **geometry**. The course's own teacher measures it. How wide is the heart, compared with the
# chest? Is the angle between diaphragm and ribs sharp, or filled by a meniscus of fluid? Does a
# pleural line run inside the ribs? Each lung is read zone by zone. The numbers in a thought are
# the film's own; nothing is decoration.

# %%
from radvlm_course.thinking.phantom_teacher import Thorax, cardiothoracic_ratio, write_thought
from radvlm_course.viz import show_boxes

studies = {study.study_id: study for study in course.studies("validation")}
enlarged = next(s for s in studies.values() if {"cardiomegaly", "pleural effusion"} <= set(s.abnormalities))
thorax = Thorax.of(enlarged)
print(f"heart {thorax.heart.width:.2f} wide, chest {thorax.chest.width:.2f}: ratio {cardiothoracic_ratio(thorax):.2f}")
show_boxes(enlarged.image_path, [thorax.heart, thorax.chest], truth_labels=["heart", "chest"])

# %% [markdown]
# A ratio above one half means a large heart, on phantoms as in the textbook. The whole thought
# for this film's report, with the answer that follows it:

# %%
from radvlm_course.viz.thinking import show_thought

reports = {example.study_id: example for example in course.examples("validation", "report_generation")}
report = reports[enlarged.study_id]
show_thought(enlarged.image_path, replace(report, thought=write_thought(enlarged, report)))

# %% [markdown]
# For a question about one finding the teacher looks where that finding shows, says what it sees,
# then names it and where about its middle lies. It writes no box: a thought that quotes the
# answer would teach the model to guess early and copy.

# %%
asked = [e for e in course.examples("validation", "abnormality_grounding") if e.study_id == enlarged.study_id]
effusion = next(e for e in asked if e.labels == ("pleural effusion",))
show_thought(enlarged.image_path, replace(effusion, thought=write_thought(enlarged, effusion)))

# %% [markdown]
# ## 3. Filters: what a teacher gets wrong
#
# A language model that was told the answer betrays it: "as the reference says", "the given
# findings", a conclusion before anything was looked at. Others ramble, repeat themselves, compare
# with an earlier film that it was not shown, change a box by a digit, or forget a tag. Such
# thoughts teach bad habits, so every trace passes the filters before it is used, and what is
# rejected is kept with its reason.
#
# How good are the filters? Plant every fault that we know of into clean traces and count.

# %%
from radvlm_course.thinking.dirty import FAULTS, count_planted
from radvlm_course.thinking.phantom_teacher import add_thoughts

traces = list(add_thoughts(studies.values(), course.examples("validation")))
planted = count_planted(traces[:150], seed=0)
print(f"{len(FAULTS)} kinds of fault; clean traces rejected: {planted.clean_rejected} of {planted.clean}")

# %%
from radvlm_course.viz.thinking import draw_planted

draw_planted({code: (row.planted, row.caught) for code, row in planted.faults.items()})

# %% [markdown]
# What the filters say of one dirty trace each. (A teacher is shown this sentence and may try again.)

# %%
import random

from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.thinking.filters import check_trace

sample = traces[0]
for code in ("hidden_source", "conclusion_first", "prior_study", "report_differs", "repetition", "not_closed"):
    dirty = FAULTS[code](sample, random.Random(0))
    try:
        check_trace(dirty, sample)
    except AnswerRejected as rejected:
        print(f"{rejected.code:17s} {rejected.explanation}")

# %% [markdown]
# ## 4. The cold start
#
# A second supervised fine-tuning, from the model that GRPO starts from too. Three in five examples
# think, two do not: without these the model would forget how to answer at once. The
# trainer is the one of notebook 02; nothing in it knows of thoughts.

# %%
folder = course.ensure("cold_start")
summary = course.run.summary("cold_start")
print(f"{summary['traces']:,} traces, {summary['examples']:,} examples in all, {summary['seconds'] / 60:.1f} minutes")

# %%
from radvlm_course.viz import sft_curves

sft_curves(folder, "The cold start")

# %% [markdown]
# Does it keep the two modes apart? The stage `evaluate` has asked the model every held-out
# question in both. Asked to think, it must open one thought, close it, and answer. Asked directly,
# there must be no tag at all.

# %%
from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.thinking.modes import completion_tokens, mode_rate

evaluation = course.ensure("evaluate")
asked_to_think = list(read_predictions(evaluation / "predictions" / "cold_start_thinking.jsonl"))
asked_directly = list(read_predictions(evaluation / "predictions" / "cold_start.jsonl"))
for name, found in {
    "with /think": mode_rate(asked_to_think, thinking=True),
    "without": mode_rate(asked_directly, thinking=False),
}.items():
    print(f"{name:12s} {found.kept} of {found.n} keep to the mode ({found.rate:.1%}); {found}")

# %% [markdown]
# A held-out film, in both modes. Read the thought against the film: are the numbers right, are
# the sides right, does the answer follow from it?

# %%
from radvlm_course.viz.thinking import show_completion

test = {example.id: example for example in course.examples("test")}
thinking_answers = {p.example_id: p for p in asked_to_think}
direct_answers = {p.example_id: p for p in asked_directly}
chosen = next(e for e in test.values() if e.task == "abnormality_grounding" and e.labels == ("pleural effusion",))
print("directly:", direct_answers[chosen.id].completion)
show_completion(chosen.image_path, chosen, thinking_answers[chosen.id].completion)

# %%
chosen = next(e for e in test.values() if e.task == "report_generation" and len(e.answer) > 150)
print("directly:", direct_answers[chosen.id].completion)
show_completion(chosen.image_path, chosen, thinking_answers[chosen.id].completion)

# %% [markdown]
# How true are its thoughts? The heart's ratio can be checked on every film: the model's number
# against the geometry's.

# %%
from radvlm_course.thinking.phantom_teacher import stated_ratios
from radvlm_course.viz.thinking import draw_stated

held_out = {study.study_id: study for study in course.studies("test")}
stated = stated_ratios({p.example_id: p.completion for p in asked_to_think}, test, held_out)
draw_stated(stated, "Heart over chest: what the thought says, and what is true")

# %% [markdown]
# And what the cold start did to the answers, in both modes, against the model that it started
# from: paired differences on the same held-out films.

# %%
from radvlm_course.evaluation.differences import read_differences
from radvlm_course.viz.comparisons import draw_differences

pairs = {name: tasks for name, tasks in read_differences(evaluation).items() if name.startswith("cold_start")}
shown = {
    "grounding: soft-F1": ("abnormality_grounding", "soft_f1"),
    "reports: GLEU": ("report_generation", "gleu"),
    "reports: finding F1": ("report_generation", "finding_f1_micro"),
}
draw_differences({title: {n: t[task][m] for n, t in pairs.items()} for title, (task, m) in shown.items()})

# %% [markdown]
# (The cold start is also some hundred steps more of training, so a gain of the direct mode is no
# gain of thinking. What thinking itself does is asked in section 6, under equal conditions.)
#
# ## 5. Four traps of GRPO with thoughts
#
# From here on the model is rewarded for its **response** alone; the thought may be anything. That
# freedom has a price. Each trap is shown on rollouts of the cold-started model.
#
# **Cut off before the end.** Generation has a limit. A thought that is longer never reaches
# `</think>`: no response, and the reward's declared value for it. Here is a group of eight with a
# limit that is too tight:

# %%
import torch

from radvlm_course.evaluation.predict import complete
from radvlm_course.models.loading import load_model

model = load_model(course.run.model_folder("cold_start"), max_pixels=course.profile.model.max_pixels)
torch.manual_seed(0)
question = course.examples("validation", "report_generation")[5]
written = [p for p in asked_to_think if test[p.example_id].task == "report_generation"]
lengths = completion_tokens(written, model.processor.tokenizer)
limit = lengths[4 * len(lengths) // 5]  # four in five greedy completions fit
rollouts = complete(model, [question] * 8, max_new_tokens=limit, temperature=1.0, thinking=True)
for text, reason in rollouts[:4]:
    print(f"{reason:7s} ...{text[-90:]!r}")
print(f"{sum(reason == 'length' for _, reason in rollouts)} of 8 were cut off at {limit} tokens")

# %% [markdown]
# What does that do to the group? Take RadCliQ, the paper's reward for reports: whole answers earn
# values around -1, and the published code gives -3 to one without a response. A single cut
# rollout then stretches the standard deviation so far that the difference between the best and
# the worst whole answer all but vanishes: the group teaches "finish", and nothing else. The
# course's floor is the reward's natural worst, all parts zero (-2.45), and the picture shows how
# much of the difference a floor near the whole answers would keep.

# %%
from radvlm_course.rewards.radcliq import RadCliQ
from radvlm_course.viz.thinking import draw_cut_thoughts

whole = [-0.7, -0.8, -0.9, -1.0, -1.1, -1.2, -1.3]
floors = {
    "published code: -3": -3.0,
    f"worst possible: {RadCliQ.empty_value:.2f}": RadCliQ.empty_value,
    "just below the others: -1.5": -1.5,
}
draw_cut_thoughts(whole, floors)

# %% [markdown]
# A floor must be low enough that cutting off never pays, and no lower. Better still is a limit
# that hardly any thought reaches; the share of cut completions (`completions/clipped_ratio` in
# the metrics) is the gauge to watch. Rewards that live between 0 and 1, such as GLEU and soft-F1,
# have their floor at 0, where bad answers are too.
#
# **Growing longer.** Nothing in the reward limits a thought. If long thoughts happen to be the
# better ones, length is reinforced along with whatever made them better. In a group the reward
# and the length of each rollout can be compared:

# %%
from radvlm_course.training.groups import make_group
from radvlm_course.viz.thinking import draw_length_and_reward

tokens = course.profile.cold_start.max_thinking_tokens
prompts = course.examples("validation", "report_generation")[:8]
sampled = complete(model, [e for e in prompts for _ in range(8)], tokens, temperature=1.0, thinking=True)
groups = []
for number, example in enumerate(prompts):
    texts = [text for text, _ in sampled[8 * number : 8 * number + 8]]
    answers = [split_thought(text, thinking=True).response or "" for text in texts]
    groups.append((texts, make_group(example, answers, "gleu")))
draw_length_and_reward([([len(t.split()) for t in texts], [r.reward for r in group]) for texts, group in groups])

# %% [markdown]
# **Copying the question into the thought** costs nothing and looks like work; **answering inside
# the thought** is worse: the whole report stands before `</think>`, and after it a word or two.
# Neither can be seen in the reward. Both can be counted, and a `thinking_format` reward of small
# weight, or the filters of section 3 as a gauge, keeps an eye on them.

# %%
from radvlm_course.rewards import get_reward
from radvlm_course.thinking.modes import copied_share

gleu, form = get_reward("gleu"), get_reward("thinking_format")
example = prompts[0]
honest = replace(example, thought=write_thought(studies[example.study_id], example))
cases = {
    "an honest thought": f"<think>{honest.thought}</think> {example.answer}",
    "the question again": f"<think>{example.question} {example.question}</think> {example.answer}",
    "the answer inside": f"<think>{example.answer}</think> Done.",
    "never closed": f"<think>{honest.thought} {example.answer}",
}
for name, text in cases.items():
    answer = split_thought(text, thinking=True).response or ""
    print(
        f"{name:20s} response earns {gleu([answer], [example])[0]:.2f}   format {form([text], [example])[0]:.0f}   "
        f"copied from question {copied_share(text, example.question, run=3):.0%}, from the answer "
        f"{copied_share(text, example.answer):.0%}"
    )

# %% [markdown]
# ## 6. Does thinking help?
#
# The paper's answer is no: with and without thoughts, its models end at the same level. Here is
# the same comparison in small: GRPO with and without thoughts from the cold-started model, with
# the same prompts and the same number of steps, on grounding and on reports. It takes longer than a
# notebook should, so its results are stored with the course, with the command that made them:

# %%
from radvlm_course.experiments.results import stored_results

results = stored_results("thinking")
print(results.command)
print(f"{results.budget.steps} steps, seeds {results.budget.seeds}; minutes of a training:")
for arm, seconds in results.seconds.items():
    print(f"  {arm:20s} {seconds / 60:.1f}")

# %%
from radvlm_course.viz.thinking import draw_thinking_over_time

draw_thinking_over_time(results)

# %% [markdown]
# The result is not the curve but the paired difference on held-out films, over all seeds. First
# what GRPO gained in each mode, then thinking against direct, before and after:

# %%
grounding, reports_panel = results.panels().items()
draw_differences(dict([grounding]))

# %%
draw_differences(dict([reports_panel]))

# %%
for answer in results.answers:
    if "thinking - direct" in answer.question.title:
        one = answer.all_seeds
        print(
            f"{answer.question.title}: {answer.verdict} ({answer.question.metric} {one.value:+.3f} "
            f"[{one.low:+.3f}, {one.high:+.3f}], n = {answer.examples} films of {answer.patients} patients)"
        )
print("\nThe paper:", results.paper)

# %% [markdown]
# Look at the second row of the curves once more. In grounding nearly every sampled thought is closed.
# In reports, whose thoughts are twice as long, one in six is not at the start, and more as training
# goes on, although such a completion earns nothing: at temperature 1 a routine of a hundred tokens
# has many chances to go astray. The greedy answers, which the tables are made of, do not show it. And 25
# steps are few: grounding gained nothing yet in either mode, where 80 steps from the early
# SFT model do (notebook 05).
#
# Two things to keep in mind. A tiny model's thoughts are a routine learned from one teacher, not
# reasoning discovered by itself; and a phantom needs no reasoning, since everything that its
# report says is in plain sight. The paper's finding on real films has the same ring: what limits
# the model is what it sees, not how long it talks about it.
#
# ## 7. Your turn
#
# **03.1** Which of these completions of the thinking mode have a response?
#
# | | completion |
# |---|---|
# | A | `<think>The right angle is blunted.</think> There is a right pleural effusion.` |
# | B | `<think>The right angle is blunted. There is a right pleural effusion.` |
# | C | `<think>The right angle is blunted. There is a right pleural effusion.</think>` |
# | D | `<think>Clear?</think> No, blunted.</think> There is a right pleural effusion.` |

# %%
from radvlm_course.exercises import check

answer_1 = ...  # letters, for example "AB"
check("03.1", answer_1)

# %% [markdown]
# **03.2** A group of four earned -1.0, -1.2 and -0.8; the fourth was cut off and earned -3.0.
# What is the advantage of the rollout that earned -0.8?

# %%
answer_2 = ...  # a number
check("03.2", answer_2)

# %% [markdown]
# **03.3** Which of these thoughts betrays that its writer knew the answer?
#
# | | thought |
# |---|---|
# | A | The heart is 0.41 of 0.74 wide, 0.55: large. |
# | B | Both angles are sharp, so there is no effusion. |
# | C | The nodule that was described should be in the left upper zone. I look there and find it. |
# | D | A patchy opacity in the lower zone; it could be a vessel, but it has no branches. |

# %%
answer_3 = ...  # "A", "B", "C" or "D"
check("03.3", answer_3)

# %% [markdown]
# ## What to take along
#
# - Thinking is a mode: a suffix in the question, a thought before the last `</think>`, a response
#   after it. One function joins and one splits; rewards see the response alone.
# - A cold start needs honest thoughts. A teacher that knows the answer writes them, filters throw
#   out those that betray it, and direct answers in the mix keep the other mode alive.
# - A completion without a response is the commonest accident. Where its floor lies decides what
#   the rest of the group can still teach.
# - Whether thinking pays is a question for a paired comparison under equal conditions, and "no
#   difference shown" is an answer.
#
# Next: **04, GRPO on reports**, and **05, GRPO on grounding**, without thoughts.
