# %% [markdown]
# # 03 · The thinking cold start: solutions
#
# `laptop tier` · `seconds` · `needs nothing`
#
# Each answer with its working, then with the course's own functions.

# %% [markdown]
# ## 03.1 Who has a response?
#
# What follows the last `</think>` is the response. A has one. B never closes its thought: the
# right words stand in it, and are not judged. C closes it, and nothing follows. D closes twice;
# what follows the last tag is a whole answer.

# %%
from radvlm_course.chat import split_thought
from radvlm_course.exercises import check

completions = {
    "A": "<think>The right angle is blunted.</think> There is a right pleural effusion.",
    "B": "<think>The right angle is blunted. There is a right pleural effusion.",
    "C": "<think>The right angle is blunted. There is a right pleural effusion.</think>",
    "D": "<think>Clear?</think> No, blunted.</think> There is a right pleural effusion.",
}
for name, text in completions.items():
    print(name, repr(split_thought(text, thinking=True).response))
check("03.1", "AD", strict=True)

# %% [markdown]
# ## 03.2 A group with a cut completion
#
# The mean of -1.0, -1.2, -0.8 and -3.0 is -1.5. The distances are 0.5, 0.3, 0.7 and -1.5, their
# squares add up to 3.08; divided by n - 1 = 3 that is 1.027, and its root is 1.013. The best
# rollout gets 0.7 / 1.013 = 0.69. Among the three whole answers alone it would have got +1.0, and
# the worst of them -1.0; now all three are pushed up, and nearly alike.

# %%
import torch

from radvlm_course.training.grpo_math import group_advantages

print([round(a, 2) for a in group_advantages(torch.tensor([-1.0, -1.2, -0.8, -3.0]), 4).tolist()])
print([round(a, 2) for a in group_advantages(torch.tensor([-1.0, -1.2, -0.8]), 3).tolist()])
check("03.2", 0.7 / 1.013, strict=True)

# %% [markdown]
# The same group under two floors:

# %%
from radvlm_course.viz.thinking import draw_cut_thoughts

draw_cut_thoughts([-1.0, -1.2, -0.8], {"floor -3": -3.0, "floor -1.4": -1.4})

# %% [markdown]
# ## 03.3 Who knew?
#
# C speaks of a nodule "that was described" before it has looked anywhere: it was told. A measures,
# B looks and denies, D looks and doubts.

# %%
check("03.3", "C", strict=True)
