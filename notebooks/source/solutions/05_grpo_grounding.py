# %% [markdown]
# # 05 · GRPO for visual grounding: solutions
#
# `laptop tier` · `seconds` · `needs nothing`
#
# Each answer with its working, then with the course's own functions.

# %% [markdown]
# ## 05.1 Advantages by hand
#
# Rewards 0.8, 0.6, 0.4, 0.2. The mean is 0.5, so the distances are +0.3, +0.1, -0.1, -0.3. Their
# squares add up to 0.20; divided by n - 1 = 3 that is 0.0667, and its root is 0.258. Divide the
# distances by it.

# %%
import torch

from radvlm_course.exercises import check
from radvlm_course.training.grpo_math import group_advantages

answer_1 = [0.3 / 0.258, 0.1 / 0.258, -0.1 / 0.258, -0.3 / 0.258]
print("by hand:          ", [round(value, 2) for value in answer_1])
computed = group_advantages(torch.tensor([0.8, 0.6, 0.4, 0.2]), group_size=4)
print("group_advantages: ", [round(value, 2) for value in computed.tolist()])
check("05.1", answer_1, strict=True)

# %% [markdown]
# ## 05.2 Two boxes for one truth
#
# The truth has the area 0.4 x 0.4 = 0.16. The first box, 0.4 x 0.2 = 0.08, lies wholly inside:
# they share 0.08 and cover 0.16, so the IoU is 0.5. The second box touches nothing and has no
# partner. Two predicted, one true: soft-F1 = 2 x 0.5 / (2 + 1) = 1/3.

# %%
from radvlm_course.boxes import Box
from radvlm_course.phantoms import make_phantom
from radvlm_course.viz import show_boxes

answer_2 = 2 * 0.5 / (2 + 1)
check("05.2", answer_2, strict=True)
written = [Box(0.2, 0.2, 0.6, 0.4), Box(0.7, 0.7, 0.9, 0.9)]
show_boxes(make_phantom(seed=8, size=256).image, [Box(0.2, 0.2, 0.6, 0.6)], written, width=3.2)

# %% [markdown]
# ## 05.3 The strongest push
#
# Group A has no spread and teaches nothing. In B one rollout stands alone: mean 0.075, deviation
# 0.15, advantage (0.3 - 0.075) / 0.15 = 1.5, although 0.3 is a poor reward. In C the best gets
# 1.16, in D two share the first place and get about 0.87 each. The rare success is what GRPO
# listens to most.

# %%
groups = {
    "A": [0.9] * 4,
    "B": [0.0, 0.0, 0.0, 0.3],
    "C": [0.2, 0.4, 0.6, 0.8],
    "D": [0.7, 0.7, 0.8, 0.8],
}
for name, rewards in groups.items():
    best = group_advantages(torch.tensor(rewards, dtype=torch.float64), 4).max().item()
    print(f"{name}: advantage of the best rollout {best:+.2f}")
check("05.3", "B", strict=True)
