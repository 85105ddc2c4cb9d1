# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 00 · Start here: solutions
#
# **Tier** laptop · **Time** seconds · **Memory** under 1 GB · **Needs** nothing
#
# ## 00.1 The largest tier that fits
#
# *64 GB of memory, 80 GB of free disk, one GPU of 24 GB.*
#
# The GPU and the memory would do for `gpu-24gb`; its weights, data and checkpoints would not fit on
# the disk. `doctor.shortfalls` says so for each tier.

# %%
from radvlm_course.doctor import load_tiers, shortfalls
from radvlm_course.exercises import check
from radvlm_course.machine import Gpu, Machine

machine = Machine(memory_gb=64, disk_gb=80, gpus=(Gpu("a card of 24 GB", 24),))
for tier in load_tiers():
    print(f"{tier.name:<10}", ", ".join(shortfalls(tier, machine)) or "fits")
check("00.1", "gpu-16gb", strict=True)

# %% [markdown]
# ## 00.2 A box that was not found
#
# *Two true boxes, one predicted box, IoU 0.6.*
#
# The summed IoU is 0.6; there are one predicted and two true boxes. The missing box costs a third
# of the reward that the found one would have earned alone.

# %%
reward = 2 * 0.6 / (1 + 2)
print(f"{reward:.2f}")
check("00.2", reward, strict=True)

# %% [markdown]
# ## 00.3 Better than its group
#
# *Four answers earn 0.9, 0.7, 0.8 and 0.8.*
#
# The mean is 0.8. Only the first answer is above it. The second becomes less likely although 0.7
# may be a good reward, and the two at the mean have an advantage of 0: a reward is not a target,
# only a comparison.

# %%
rewards = [0.9, 0.7, 0.8, 0.8]
mean = sum(rewards) / len(rewards)
print("advantages point:", [f"{reward - mean:+.1f}" for reward in rewards])
check("00.3", [0], strict=True)
