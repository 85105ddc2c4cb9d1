# %% [markdown]
# # 07 · Scaling up
#
# `laptop tier` · `about 1 minute on 2 CPU cores` · `about 2 GB of memory` ·
# `needs the finished run of make course: found, or made here, which takes longer`
#
# Everything so far ran on a laptop, with a model of two million parameters. The method was made
# for one of eight billion. What changes on the way there? Not the code: a larger tier is another
# file of settings. What changes is what runs out first, what an hour costs, and what you can
# notice while it is running.
#
# **After this notebook you can**
#
# 1. choose a tier by memory, time and cost, and say how far each of those numbers can be trusted;
# 2. go from `laptop` to `gpu-24gb` by changing one word, and say what that word changes;
# 3. say what fills a GPU in SFT and in GRPO, and which setting to lower when it is full;
# 4. take the same stages to several GPUs, to several machines, and to verl;
# 5. read a running GRPO: which curve tells what, and when to stop.
#
# **What is computed and what is measured.** The curves in section 6 are this machine's own.
# Memory, time and cost of the GPU tiers are computed from the sizes of the models: no GPU was at
# hand when these pages were written. Each section says how the number comes about.

# %%
from radvlm_course.lab import open_lab

course = open_lab()

# %%
from radvlm_course.viz import draw_pipeline

draw_pipeline()

# %% [markdown]
# ## 1. The tiers
#
# A **tier** is a machine with a model that fits it. The settings of each are in one file, a
# *profile*; `python -m radvlm_course profiles` prints this table.

# %%
from IPython.display import Markdown

from radvlm_course.profile_differences import profile_table
from radvlm_course.profiles import available_profiles, load_profile

profiles = {name: load_profile(name) for name in available_profiles()}
Markdown(profile_table(profiles))

# %% [markdown]
# And what do they take? Below: the peak of memory on each GPU, the time of one update, all updates,
# and the price. **How the numbers come about**: memory is counted tensor by tensor and the counts
# are tested against real tensors. Time is an estimate: the additions and multiplications of every
# pass over the card's peak rate, of which 35% is *assumed* to be reached, and for writing, the bytes
# that each token reads over the card's bandwidth. Rewards with models of their own, loading and
# evaluation come on top. Trust the order of magnitude.
#
# Two numbers are yours: how many pairs SFT goes through, and what a GPU costs you an hour. Change
# them and run the cell again.

# %%
from radvlm_course.scaling import cost_table, tier_costs
from radvlm_course.viz.pairs import markdown_table

pairs = 1_115_021  # the paper's mixture; open data give fewer
price_per_gpu_hour = 2.0  # in your currency; an example, not an offer

costs = tier_costs(pairs)
Markdown(markdown_table(*cost_table(costs, price_per_gpu_hour)))

# %% [markdown]
# Three things to see. SFT over a million pairs takes a consumer card days, so the small tiers take
# open data, which give fewer pairs, and one epoch (`curate.mixture`). GRPO on one card is hours, because its 300
# generations are small: 64 completions each instead of 4,096. And full fine-tuning of eight billion
# weights does not fit a single card of any size sold: section 3 says why.
#
# ## 2. One word
#
# From the laptop to a workstation with 24 GB:
#
# ```
# make course PROFILE=laptop
# make course PROFILE=gpu-24gb
# ```
#
# That word changes settings, never code. The most important of them side by side; on the right is
# what the larger tier says *why*.

# %%
from radvlm_course.scaling import beside

settings = [
    "model.name_or_path",
    "model.precision",
    "model.quantisation",
    "model.adapter",
    "model.max_pixels",
    "curate.mixture",
    "sft.trainer.learning_rate",
    "grpo_grounding.prompts_per_step",
    "grpo_grounding.trainer.learning_rate",
    "grpo_grounding.trainer.max_completion_length",
]
Markdown(markdown_table(*beside("gpu-24gb", "laptop", settings)))

# %% [markdown]
# Is it really the same path? Take the `model` section of `gpu-24gb` as it stands, its four bits and
# its adapter, and load with it the tiny model of this run. It goes through the same function that
# would load eight billion weights.

# %%
from radvlm_course.models.loading import load_for_training

small = load_for_training(course.run.model_folder("sft"), profiles["gpu-24gb"].model)
trained = sum(p.numel() for p in small.model.parameters() if p.requires_grad)
kinds = sorted({type(module).__name__ for module in small.model.modules() if "4bit" in type(module).__name__})
print(f"{type(small.model).__name__} with {', '.join(kinds)}: {trained:,} weights of the adapter are trained")

# %% [markdown]
# What the adapter trains is small; the weights beside it are in four bits and stay as they are. The
# vision tower and the head are skipped, under their full names `model.visual` and `lm_head`; the
# short name `visual` would skip nothing, and the tower would quietly be in four bits too.
#
# ## 3. What fills a GPU
#
# Full fine-tuning with Adam in 32 bits holds four numbers for each weight: the weight, its gradient
# and two moments, 16 bytes. For eight billion weights that is more than any card has.

# %%
from radvlm_course.models.architectures import known_architectures
from radvlm_course.models.memory import GIB

for name, sizes in known_architectures().items():
    weights = sizes.parameter_count()
    print(f"{name:30s} {weights / 1e9:5.2f} billion weights, trained in full: {16 * weights / GIB:4.0f} GB")

# %% [markdown]
# So the large tiers share these four numbers out among GPUs (FSDP, ZeRO), and the small ones train
# an **adapter** instead: two thin matrices beside each matrix, a hundredth of the weights. What
# remains is the weights themselves, and what comes and goes. Here is the peak of every stage, part
# by part; the black line is where the card ends.

# %%
from radvlm_course.viz.scaling import draw_memory

memories = {f"{cost.tier}, {cost.stage}": cost.memory for cost in costs}
cards = {f"{cost.tier}, {cost.stage}": profiles[cost.tier].requires.gpu_memory_gb for cost in costs}
draw_memory(memories, cards, "Peak of memory on each GPU, computed")

# %% [markdown]
# Read it from the left: what is always there comes first, what comes and goes follows. **In GRPO
# the group is what fills the card.** Every completion has a cache of its own while it is written,
# and while the loss is differentiated, a logit for each of 151,936 words at each of its tokens.
# Group size, the length limit and the micro-batch decide how much that is:

# %%
from radvlm_course.models.memory import stage_memory

variants = {
    "as in gpu-24gb": {},
    "16 prompts x 4 instead of 8 x 8": {
        "grpo_reports.prompts_per_step": 16,
        "grpo_reports.trainer.num_generations": 4,
    },
    "4 prompts x 8": {
        "grpo_reports.prompts_per_step": 4,
        "grpo_reports.trainer.gradient_accumulation_steps": 4,
        "grpo_reports.trainer.steps_per_generation": 4,
    },
    "answers of up to 1,024 tokens": {"grpo_reports.trainer.max_completion_length": 1024},
    "micro-batch of 4": {
        "grpo_reports.trainer.per_device_train_batch_size": 4,
        "grpo_reports.trainer.gradient_accumulation_steps": 16,
        "grpo_reports.trainer.steps_per_generation": 16,
    },
    "without gradient checkpointing": {"grpo_reports.trainer.gradient_checkpointing": False},
    "films of 1024 x 1024": {"model.max_pixels": 1024 * 1024},
}
tried = {name: stage_memory(load_profile("gpu-24gb", change), "grpo_reports") for name, change in variants.items()}
draw_memory(tried, dict.fromkeys(tried, 24), "gpu-24gb, GRPO on reports: one setting changed")

# %% [markdown]
# Smaller groups do not help if there are more of them: 64 completions are written at once, whatever
# group they belong to. Fewer prompts do. A run that runs out of memory prints such a list by itself,
# for the settings that it failed with, ready for the command line.
#
# **The film.** A radiograph from a modern detector is 2544 x 3056 pixels. Qwen3-VL makes one token
# of each 32 x 32 of them, unless a limit shrinks the film first.

# %%
from radvlm_course.models.token_budget import QWEN3_VL_MAX_PIXELS
from radvlm_course.scaling import token_budgets
from radvlm_course.viz.scaling import draw_token_budget

limits = {"Qwen3-VL's own": QWEN3_VL_MAX_PIXELS} | {f"{side} x {side}": side**2 for side in (1024, 672, 512, 256)}
draw_token_budget(*token_budgets("gpu-24gb", "grpo_reports", limits), "gpu-24gb, GRPO on reports")

# %% [markdown]
# Under Qwen3-VL's own limit, which no film reaches, one is 7,680 tokens, and the cache of 64
# completions alone would not fit any card. With too low a limit a nodule is smaller than a patch. The
# paper takes 512 x 512 in SFT and 672 x 672 in RL.
#
# ## 4. Where the time goes
#
# One update of GRPO goes over its sequences several times: the prompt is read, the answer written
# token by token, the reference (and, with several updates a generation, the old policy) look once,
# and the update goes forward, forward again because of checkpointing, and backward.

# %%
from radvlm_course.viz.scaling import draw_phases

draw_phases({f"{cost.tier}, {cost.stage}": cost.time for cost in costs if cost.stage != "sft"}, "GRPO, estimated")

# %% [markdown]
# **Training dominates**, and within it the prompt: a film and its question are some 300 tokens and go
# through the model again in every pass, where the answer has 64. That is why the limit of pixels is
# the cheapest thing to turn. Writing is the part that this estimate knows least about: it is bound by
# memory, for each token all weights travel, and transformers starts every layer anew. vLLM does not,
# which is why the large tiers use it. And it grows with the answer; section 7 shows by how much.
#
# A group shares its film: the course encodes each film once for all eight completions
# (`encode_once`), where the trainer would do so eight times, in generation, reference and policy
# alike. [docs/one_gpu.md](../docs/one_gpu.md) has what that gains, measured.
#
# ## 5. From one GPU to a cluster
#
# | you have | you run |
# | --- | --- |
# | one GPU | `python -m radvlm_course run --profile gpu-24gb` |
# | one machine with 8 GPUs | `accelerate launch --config_file radvlm_course/configs/accelerate/fsdp2.yaml ...` |
# | several machines under Slurm | the scripts in `radvlm_course/configs/slurm/` |
# | the paper's own engine, verl on Ray | the files in `radvlm_course/configs/verl/` |
#
# Two or more processes do one thing: each takes a part of the batch, and their gradients are
# averaged. So **two processes must give the same loss as one with the same global batch**. That can be
# checked without a GPU, and the course's tests do: they train the tiny model on two processes of a
# CPU and hold loss and gradient against one. If you change a profile's number of GPUs, change
# `gradient_accumulation_steps` so that the product stays:


# %%
from radvlm_course.scaling import batch_table

Markdown(markdown_table(*batch_table("grpo_reports")))

# %% [markdown]
# Three traps wait there, and the course closes each of them:
#
# - **Two tokenisers.** With vLLM one program writes and another one learns. If they disagree about a
#   prompt, by one visual token even, the gradient belongs to another text. The prompts of both are
#   compared, token by token, and training stops at the first difference.
# - **A reward that is not ready.** A server of clinical rewards loads models for minutes. A trainer
#   that starts earlier would fail on its first batch, or worse, score zeros. The launch scripts wait
#   for `/ready`, and a failure of the scorer is an error, never a reward.
# - **Several processes, one folder.** Curation, evaluation and every file belong to one process; the
#   others wait.
#
# ## 6. What to watch
#
# A run of days is not looked at once at its end. These are the curves of this machine's own GRPO on
# reports, from `metrics.jsonl`; each panel says what to fear.

# %%
from radvlm_course.runs import read_metrics
from radvlm_course.viz.scaling import watch_curves

course.ensure("grpo_reports")
watch_curves(read_metrics(course.run.folder / "grpo_reports"), "GRPO on reports, laptop")

# %% [markdown]
# | you see | it may be | do |
# | --- | --- | --- |
# | reward flat, most groups without spread | prompts too easy or too hard | other prompts, a softer reward |
# | reward up, held-out score flat | the policy only grows surer | greedy answers on validation films |
# | length shrinks while reward rises | the reward pays for brevity | read the answers; another reward (notebook 04) |
# | KL jumps | learning rate too high, or a broken batch | stop, go back a checkpoint, halve the rate |
# | share outside the clip above some percent | too many updates a generation | fewer, or a smaller rate |
# | answers cut off | the limit is too low | raise `max_completion_length`, mind the memory |
# | tokens a second fall | answers grow, or the reward became the bottleneck | `serve-rewards`, its `/metrics` |
#
# ## 7. The paper's run
#
# The paper's RL on reports: 300 generations of 512 prompts with 8 completions, 32 GPUs (GH200, four a
# machine) and four more for the reward, at most 12 hours a job.

# %%
paper = {cost.stage: cost for cost in costs if cost.tier == "paper"}
reports = paper["grpo_reports"].time
rollouts = reports.examples * reports.updates
print(f"rollouts written:             {rollouts:,}")
print(f"estimate of this page:        {reports.gpu_hours:,.0f} GPU hours, {reports.hours:.1f} h on {reports.gpus} GPUs")
print(f"ceiling that the jobs had:    {12 * (32 + 4):,} GPU hours (12 h x 36 GPUs)")
low, high = (hours * price_per_gpu_hour for hours in (reports.gpu_hours, 12 * (32 + 4)))
print(f"at {price_per_gpu_hour:g} a GPU hour:            {low:,.0f} to {high:,.0f}")

# %% [markdown]
# The ceiling is what the jobs were allowed to take, the estimate is what the arithmetic needs at 35%
# of the cards' peak with nothing else in the way. The truth lies between: rewards take time, the
# weights travel to vLLM after every update, the longest answer of 4,096 holds up the rest. How much
# depends on the assumed length of answers, too; change it and look:

# %%
from radvlm_course.models.compute import Assumptions

lengths = {
    tokens: tier_costs(pairs, tiers=["paper"], assumptions=Assumptions(answer_tokens=tokens))
    for tokens in (64, 256, 512)
}
draw_phases(
    {f"answers of {tokens} tokens": found[2].time for tokens, found in lengths.items()},
    "paper, GRPO on reports: seconds of an update, estimated",
    shares=False,
)

# %% [markdown]
# That is what thinking costs: longer answers cost in every pass, and most while they are written.
# In the paper they scored no better.
#
# ## Exercises
#
# **07.1** A portable film of 2048 x 2500 pixels is resized under a limit of 512 x 512 pixels. How
# many visual tokens does it become? (Multiples of 32 along both sides, within the limit.)

# %%
from radvlm_course.exercises import check

visual_tokens = ...
check("07.1", visual_tokens)

# %% [markdown]
# **07.2** Someone trains the 4B model in full, with Adam, everything in 32 bits, and GRPO's reference
# (another copy of the weights, in 32 bits) beside it, without sharing anything out. How many GB of
# 2**30 bytes are there before the first film is looked at? Count 4.44 billion weights.

# %%
gigabytes = ...
check("07.2", gigabytes)

# %% [markdown]
# **07.3** After 60 updates the reward has risen from 0.41 to 0.55, the mean length has fallen from 48
# to 19 tokens, KL is 0.02 and steady, no answer is cut off. What do you do first? (A) Raise the
# learning rate, it works. (B) Read the answers. (C) Raise `max_completion_length`. (D) Raise the
# weight of the KL.

# %%
first = ...
check("07.3", first)

# %% [markdown]
# ## What to take along
#
# - A tier is a file; `PROFILE=gpu-24gb` is the whole difference between a laptop and a workstation.
# - Full fine-tuning holds 16 bytes a weight, GRPO's reference four more; adapters and four bits are
#   the way around it on one card.
# - In GRPO the group fills the card, and the prompts' visual tokens most of the time.
# - Two processes with the same global batch must give the same loss as one. Test it before the bill
#   comes.
# - Watch spread, KL, entropy, length and cut-off answers; the reward alone says little, the loss nothing.
#
# **The end of the course.** [docs/tiers.md](../docs/tiers.md) has the tables of this page,
# [docs/one_gpu.md](../docs/one_gpu.md) and [docs/many_gpus.md](../docs/many_gpus.md) the details.
