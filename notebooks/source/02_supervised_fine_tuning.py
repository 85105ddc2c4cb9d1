# %% [markdown]
# # 02 · Supervised fine-tuning
#
# `laptop tier` · `about 2 minutes on 2 CPU cores` · `under 3 GB of memory` ·
# `needs the stages curate, base and sft: they are found, or made here in about 8 minutes more`
#
# Fine-tuning a model on examples is three lines of code. What goes wrong hides in what those lines
# do with a film and a sentence: how many tokens a film becomes, which tokens the loss looks at, what
# happens when a sequence is cut. So this notebook takes a model apart before it trains it. The model
# is tiny, some two million parameters, but it is a real Qwen3-VL: the same classes, the same
# processor, the same trainer as the 8-billion one. Only the sizes differ.
#
# **After this notebook you can**
#
# 1. follow a film from pixels to patches to visual tokens, and say what a token budget costs;
# 2. read a training example token by token and say which tokens are learnt;
# 3. say what the pre-training of the vision tower gives, and see it in a picture;
# 4. read the curves of supervised training, and say why the loss is not the metric;
# 5. recognise the three errors that everybody meets once.
#
# Everything here happens on synthetic radiographs (PhantomCXR). It is for research and teaching;
# nothing in it says anything about the diagnosis of patients.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline(current="sft")

# %% [markdown]
# ## 1. Text becomes tokens
#
# A language model reads and writes **tokens**: pieces of text from a fixed list, the vocabulary. How
# a box is cut into tokens decides what the model must learn to write it. Qwen's tokenizer, like
# many, gives every digit a token of its own, so that `0.38` is read digit by digit and not as one of
# ten thousand words. This is one box as Qwen's rule cuts it (a dot in the middle of the line, `·`,
# stands for a space).

# %%
from radvlm_course.training.token_view import qwen_pieces
from radvlm_course.viz.tokens import draw_tokens

box_string = "[0.38, 0.47, 0.76, 0.62]"
pieces = qwen_pieces(box_string)
draw_tokens(pieces, title=f"{box_string} in {len(pieces)} pieces")

# %% [markdown]
# Sixteen of these carry nothing: a zero and a point, four times, with commas and spaces. Our tiny
# tokenizer, trained on the text of this course, takes one liberty: `0.` is one token. The eight
# digits still stand alone, because the digits are what must be learnt.

# %%
from radvlm_course.models.loading import load_model
from radvlm_course.training.token_view import text_tokens

max_pixels = course.profile.model.max_pixels
course.ensure("base")
base = load_model(course.run.model_folder("base"), max_pixels=max_pixels)
tokenizer = base.processor.tokenizer
own = text_tokens(tokenizer, box_string)
draw_tokens(own, title=f"{box_string} in {len(own)} tokens, of a vocabulary of {len(tokenizer)}")

# %% [markdown]
# Nearly a third less to write, in every rollout of notebook 05. Its price: this
# tokenizer is good for nothing but this course. With real weights the tokenizer is given, and one
# never changes it.
#
# ## 2. A film becomes tokens
#
# A film enters the same sequence as the words. It is cut into square **patches**; a small transformer,
# the **vision tower**, looks at all patches at once and describes each by a row of numbers; then
# blocks of 2 x 2 neighbouring patches are **merged** into one row. These rows are the **visual
# tokens**: to the language model they are words that no tokenizer has. Follow the orange block.

# %%
from radvlm_course.training.vision_probe import visual_tokens
from radvlm_course.viz.tokens import draw_film_tokens

studies = list(course.studies("test"))
patch_size = base.processor.image_processor.patch_size
rows = visual_tokens(base, studies[:1])[0]
draw_film_tokens(studies[0].image_path, patch_size, rows.numpy())

# %% [markdown]
# Look at the third picture as the model must: whatever is smaller than a block has to be told from
# one row of numbers. That is the resolution of its sight.
#
# ### What a real film costs
#
# Qwen3-VL does not squash films to one size. It keeps the shape, rounds both sides to whole blocks of
# 32 pixels, and shrinks only what exceeds a limit, `max_pixels`, the area of the film in pixels. Its
# own limit is so high that a full-size radiograph passes untouched.

# %%
from radvlm_course.models.token_budget import QWEN3_VL_MAX_PIXELS, film_tokens

full_size = (2544, 3056)  # width and height of a common digital chest film, in pixels
limits = {
    "its own limit": QWEN3_VL_MAX_PIXELS,
    "1024 x 1024": 1024**2,
    "672 x 672": 672**2,
    "512 x 512": 512**2,
}
costs = {name: film_tokens(full_size, max_pixels=limit) for name, limit in limits.items()}
for name, cost in costs.items():
    width, height = cost.size
    print(f"{name:14s} {width:5d} x {height:4d} pixels, {cost.patches:6,d} patches,", end="")
    print(f" {cost.tokens:5,d} tokens, {cost.shrink:.1f} pixels become 1")

# %% [markdown]
# Thousands of tokens for one film, while its report has fifty: attention, memory and time are then
# all spent on the film, eightfold when a group of eight rollouts shares it. The published runs of this
# method used 512 x 512 for supervised training and 672 x 672 for reinforcement and evaluation (two
# different limits, which nobody should copy: a model should be judged on what it was trained to see).
#
# The price of thrift is sight. The same part of a phantom under each limit, pixel by pixel (this
# phantom is 1,024 pixels wide, so that the first picture shows less than a real film would):

# %%
from radvlm_course.boxes import Box
from radvlm_course.phantoms import make_phantom
from radvlm_course.viz.tokens import draw_token_budget

film = make_phantom(seed=8, size=1024).image
draw_token_budget(costs, film, Box(0.28, 0.36, 0.42, 0.50))

# %% [markdown]
# A lesion of one hundredth of the film's width is 25 pixels wide on the full film and 4 under the lowest
# limit, a seventh of a token's side. No training brings back what was never shown.
#
# ## 3. One training example
#
# An example of notebook 01 (film, question, answer) is written into the model's **chat template**:
# markers that say who speaks. The visual tokens stand where the film stands in the user's turn; in the
# text they are placeholders, one for each row of numbers from the picture above.

# %%
from radvlm_course.chat import to_messages

train = course.examples("train", "abnormality_grounding")
example = train[0]
messages = to_messages(example)
prompt = base.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
print(prompt)
print("the answer to learn:", example.answer)

# %% [markdown]
# **What does the loss see?** Supervised fine-tuning shows the model the whole sequence and asks it,
# at every place, for the next token. But it counts only the places where the *assistant* speaks:
# learning to predict the user's question, or the film, would teach it the wrong job. Below is the
# sequence as TRL's own collator hands it to training. Grey and green is read; orange is counted.

# %%
from radvlm_course.training.token_view import sft_tokens

views = sft_tokens(base.processor, example)
counted = [view for view in views if view.counted]
draw_tokens(views, title=f"{len(views)} tokens, {len(counted)} of them counted")

# %% [markdown]
# The marker `<|im_end|>` after the answer is counted too. It has to be: it is how the model learns to
# stop. In a batch all other places carry the label -100, which PyTorch's loss leaves out.
#
# ## 4. Why the vision tower is trained first
#
# A Qwen3-VL arrives with a vision tower that has seen more pictures than a person in a lifetime. Ours
# starts as noise. Could supervised fine-tuning wake it up? Not in the minutes that we have: when this
# course was built, plain fine-tuning from scratch ended no better than an answer without any film,
# *while its loss kept falling*: the words and the usual places can be learnt blind.
#
# So the stage `base` plays the part of Qwen3-VL's pre-training. It asks the vision tower alone two
# questions about every patch: which structures and findings cover you, and where does the one that
# covers you begin and end? It uses the boxes of the training films for that, which the paper's
# pre-training does not. Afterwards the tower is frozen. Two losses, both to fall:

# %%
from radvlm_course.viz import sft_curves
from radvlm_course.viz.curves import Panel

panels = (
    Panel("Which patches are covered", {"cover_loss": "cross-entropy"}, "lower is better"),
    Panel("Where the box lies", {"box_loss": "error"}, "mean distance of a side, in film widths"),
)
sft_curves(course.ensure("base"), "Vision pre-training", panels=panels)

# %% [markdown]
# What did it learn? Ask with the simplest reader there is, a **linear probe**: from the visual tokens
# of some training films, a weighted sum is fitted that says which patches a pleural effusion covers.
# It can only find what lies ready in the tokens. One probe reads a tower with random weights, one
# reads ours; the first row below the films reads nothing and always answers with the average map.

# %%
from radvlm_course.training.vision_probe import average_map, probe_vision, untrained_twin

finding = "pleural effusion"
some = list(course.studies("train"))[:120]
unseen = studies[:60]
grid = 2 * round(len(rows) ** 0.5)
probes = {
    "no film:\naverage map": average_map(some, unseen, finding, grid),
    "random tower": probe_vision(untrained_twin(base), some, unseen, finding),
    "our tower": probe_vision(base, some, unseen, finding),
}
for name, probe in probes.items():
    print(f"{' '.join(name.split()):22s} ranking {probe.ranking:.3f}")

# %% [markdown]
# **Ranking** is the chance that a patch with effusion gets a higher value than one without; 0.5 is
# guessing. The average map already ranks well, because effusions lie at the bottom of the lungs on
# every film. What counts is what comes on top, and whether the bright spot *moves* with the film.

# %%
from radvlm_course.viz.probes import draw_probe

with_it = [i for i, study in enumerate(unseen) if finding in study.abnormalities][:4]
without = [i for i, study in enumerate(unseen) if finding not in study.abnormalities][:1]
shown = with_it + without
maps = {name: (probe.maps[shown], probe.ranking) for name, probe in probes.items()}
draw_probe([unseen[i].image_path for i in shown], probes["our tower"].truth[shown], maps)

# %% [markdown]
# Blue outlines the truth; the last film has no effusion. A map that looks the same in every column is
# not sight.
#
# ## 5. The run
#
# Now the language model learns to read these tokens. A run that `make course` has already made is
# found; otherwise this cell makes it, in about five minutes. It is TRL's `SFTTrainer` on the settings of the
# profile, which are printed here whole.

# %%
sft_folder = course.ensure("sft")
for name, value in course.profile.sft.trainer.items():
    print(f"{name:30s} {value}")

# %%
sft_curves(sft_folder, "Supervised fine-tuning")

# %% [markdown]
# The loss dives within a few dozen steps, then creeps. The dive is form: brackets, `0.`, commas, the
# usual phrases of a report. The creep is substance. The second panel says it in another way: the share
# of right next tokens is high early on, since most tokens of an answer need no film at all.
#
# Here is one held-out box, with each token's share of the loss below it. The dashed line is the cost
# of guessing one of ten digits. A digit above it is worse than guessed; a digit well below it was seen.

# %%
tuned = load_model(course.run.model_folder("sft"), max_pixels=max_pixels)
held_out = course.examples("test", "abnormality_grounding")
views = sft_tokens(tuned.processor, held_out[0], tuned.model)
draw_tokens([view for view in views if view.counted], title=held_out[0].question)

# %% [markdown]
# The first digit of each number says which tenth of the film is meant, the second which hundredth.
# The same for a report: the first word of a finding is dear, the rest of the phrase is nearly free.

# %%
report = course.examples("test", "report_generation")[0]
views = sft_tokens(tuned.processor, report, tuned.model)
draw_tokens([view for view in views if view.counted], title=report.question)

# %% [markdown]
# ## 6. The loss is not the metric
#
# Take the true answer and spoil exactly one digit. To the loss, a wrong token is a wrong token. On
# the film, the first digit of a number weighs ten times the second.

# %%
from radvlm_course.boxes import parse_boxes
from radvlm_course.viz import gallery

truth = Box(0.38, 0.47, 0.76, 0.62)
spoilt = ["[0.38, 0.47, 0.76, 0.63]", "[0.38, 0.47, 0.76, 0.92]", "[0.38, 0.47, 0.56, 0.62]"]
boxes = [parse_boxes(text) for text in spoilt]
captions = [f"{text}: one digit is wrong" for text in spoilt]
dark = make_phantom(seed=8, size=256).image
gallery([dark] * 3, captions, [[truth]] * 3, boxes, columns=3, width=3.0)

# %% [markdown]
# So a falling loss does not promise better boxes, and a loss that has stopped falling does not promise
# that nothing happens any more. Ask the checkpoints instead: here each one answers the same held-out
# questions, and **soft-F1** (overlap with the true boxes, 0 to 1; notebook 05 takes it apart) says how
# well. Step 0 is the base model, which has never seen an answer.

# %%
from radvlm_course.evaluation.predict import complete
from radvlm_course.rewards import get_reward

questions = held_out[:64]
last_step = course.profile.sft.trainer["max_steps"]
folders = {0: course.run.model_folder("base"), last_step: sft_folder / "model"}
folders |= {int(path.name.split("-")[1]): path for path in sft_folder.glob("checkpoint-*")}
asked = {}
for step, folder in sorted(folders.items()):
    answers = complete(load_model(folder, max_pixels=max_pixels), questions, max_new_tokens=24)
    asked[step] = [text for text, _ in answers]
measured = []
for step, texts in asked.items():
    rewards = get_reward("soft_f1")(texts, questions)
    mean = sum(rewards) / len(rewards)
    measured.append({"step": step, "soft_f1": mean})
    print(f"step {step:4d}: soft-F1 {mean:.3f} on {len(questions)} held-out questions")

# %%
from radvlm_course.runs import read_metrics

panels = (
    Panel("Loss (training)", {"loss": "loss"}, "lower is better"),
    Panel("Right next tokens (training)", {"mean_token_accuracy": "share"}, "higher is better"),
    Panel("soft-F1 (held-out films)", {"soft_f1": "soft-F1"}, "what we want", smooth=False),
)
logged = read_metrics(sft_folder)
sft_curves([*logged, *measured], "What is logged, and what is wanted", panels=panels)

# %% [markdown]
# Two more reasons to look at the metric: it can be compared with what an answer without a film earns
# (the priors of notebook 06), and it is what reinforcement will raise directly (notebooks 04 and 05),
# where this one can only imitate.
#
# ## 7. Before and after
#
# The base model and the fine-tuned one answer **greedily**: always the likeliest token, no chance
# involved. The base model has sight but no language; see what it writes.

# %%
for index in range(3):
    print(questions[index].question)
    print("   base:       ", asked[0][index][:70].replace("\n", " ") or "(nothing)")
    print("   fine-tuned: ", asked[last_step][index])

# %% [markdown]
# The films are chosen by a rule and not by taste: one question for each of five findings, the first
# of its kind in the held-out set.

# %%
from radvlm_course.viz import before_after

first = {example.labels[0]: index for index, example in reversed(list(enumerate(questions)))}
picked = list(first.values())[:5]
before_after(
    [questions[i].image_path for i in picked],
    [questions[i].boxes for i in picked],
    [parse_boxes(asked[0][i]) for i in picked],
    [parse_boxes(asked[last_step][i]) for i in picked],
    titles=[questions[i].question for i in picked],
    names=("base model", "after SFT"),
    width=2.1,
)

# %% [markdown]
# And a report. Blue words are shared with the reference, the darker the longer the run; below each
# text stands which findings a rule-based reader takes from it.

# %%
from radvlm_course.phantoms import report_findings
from radvlm_course.viz import compare_reports

reports = {}
for name, loaded in (("base model", base), ("after SFT", tuned)):
    reports[name] = complete(loaded, [report], max_new_tokens=48)[0][0]
compare_reports(reports, report.answer, report.image_path, findings_of=report_findings)

# %% [markdown]
# ## 8. Three errors that everybody meets once
#
# **A prompt that is cut.** Trainers like to cut sequences to `max_length`. For text a cut loses words.
# For a film it loses visual tokens, and the model, which holds one row of numbers for each, refuses.
# Here is our example cut to 40 tokens.

# %%
from radvlm_course.training.token_view import sft_batch

try:
    tuned.model(**sft_batch(tuned.processor, example, max_length=40))
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# Read it so: *tokens* is how many placeholders are left in the text, *features* is how many rows the
# vision tower made. They differ, so something between the two was cut, repeated or padded wrongly. An
# error is the lucky case. Cut a little later, behind the film, and nothing fails:

# %%
whole = sft_batch(tuned.processor, example)
length = whole["input_ids"].shape[1]
for limit in (length, length - 8, length - 14):
    batch = sft_batch(tuned.processor, example, max_length=limit)
    asked_for = int((batch["labels"] != -100).sum())
    loss = tuned.model(**batch).loss.detach()
    print(f"cut at {limit}: {asked_for:2d} tokens are learnt, loss {loss:.3f}")

# %% [markdown]
# The end of the answer is gone, the model never learns to close the bracket or to stop, and the loss is
# an honest mean over what is left: nothing in the log says so. In this course `max_length=None`; the
# budget is kept with `max_pixels`, before the film is cut into patches.
#
# **A film token in an answer.** The vocabulary holds the placeholder too. At temperature 1, where every
# token is drawn with its probability, a small model draws it now and then. The next forward pass then
# finds one placeholder too many, and a run dies after an hour:

# %%
import torch

image_token = torch.tensor([[tuned.processor.image_token_id]])
drawn = {name: value for name, value in whole.items() if name != "labels"}
for name, last in (("input_ids", image_token), ("attention_mask", image_token * 0 + 1)):
    drawn[name] = torch.cat([whole[name], last], dim=1)
drawn["mm_token_type_ids"] = torch.cat([whole["mm_token_type_ids"], image_token * 0 + 1], dim=1)
try:
    tuned.model(**drawn)
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# One too many. How likely is it? For each model, the probability of all tokens that have no business in
# an answer, summed, at the place where the answer begins; and how many of them to expect in one step of
# reinforcement with 128 answers of 17 tokens, were every place like this one.

# %%
from radvlm_course.models.tiny import never_sampled_token_ids

never = never_sampled_token_ids(tokenizer)
start = int((whole["labels"][0] != -100).nonzero()[0])
for name, model in (("base", base.model), ("after SFT", tuned.model)):
    with torch.inference_mode():
        logits = model(**{key: value for key, value in whole.items() if key != "labels"}).logits
    share = float(logits[0, start - 1].softmax(-1)[never].sum())
    print(f"{name:10s} {share:.1e} a token, {share * 128 * 17:.4f} a step")

# %% [markdown]
# Even a small number is too large for a run of hundreds of steps. The cure is to forbid these tokens in
# generation: `suppress_tokens`, which `complete` and the GRPO stages set.
#
# **The wrong loader.** This course's processor has no video part, because that part needs torchvision.
# `AutoProcessor.from_pretrained` does not know such a class and returns, without a word, only the
# *tokenizer*: films are then dropped or refused far from the cause. Registering the class with
# `AutoProcessor` does nothing, also without a word. So: load with the class's own `from_pretrained`
# (`load_model` does), and always hand trainers `processing_class=`.
#
# ## 9. Your turn
#
# Replace the dots with your answer and run the cell. A wrong answer gets a hint. Worked solutions are
# in `notebooks/solutions/`.
#
# **02.1** A budget: a film of 2544 x 3056 pixels may cost at most 1,000 visual tokens, but you want at
# least 950 of them. Which `max_pixels`? (One token is a block of 32 x 32 pixels.)

# %%
from radvlm_course.exercises import check

answer_1 = ...  # a number of pixels, for example 512 * 512
check("02.1", answer_1)

# %% [markdown]
# **02.2** The labels: a sequence has the tokens below. Write the list of labels that supervised
# fine-tuning uses: the token where it counts, -100 where it does not.

# %%
user_turn = ["<|im_start|>user", "<|image_pad|>", "<|image_pad|>", "Where?", "<|im_end|>"]
assistant_turn = ["<|im_start|>assistant", "[0.1, 0.2, 0.3, 0.4]", "<|im_end|>"]
answer_2 = ...  # a list of 8 entries
check("02.2", answer_2)

# %% [markdown]
# **02.3** The truth is `[0.38, 0.47, 0.76, 0.62]`. Change exactly one digit so that what you write is
# still a box, and its IoU with the truth is as low as it can be.

# %%
answer_3 = ...  # a string, for example "[0.38, 0.47, 0.76, 0.63]"
check("02.3", answer_3)

# %% [markdown]
# ## What to take along
#
# - A film is a run of tokens. `max_pixels` decides how many, and with that what can be seen.
# - Only the assistant's tokens are learnt, the closing marker among them.
# - Most tokens of an answer are form. The loss counts form and substance alike; the metric does not.
# - Sight comes first: a blind model learns the usual places, and its loss falls.
# - Never cut a prompt, never sample a placeholder, never load a processor by guesswork.
#
# **Next:** notebook 03 teaches the model to think before it answers (an option). Notebook 04 improves the
# reports and notebook 05 the boxes, each by letting the model answer in its own words and rewarding what
# was better. Notebook 06 measures everything on films never seen.
