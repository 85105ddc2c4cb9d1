# %% [markdown]
# # 02 · Supervised fine-tuning: solutions
#
# `laptop tier` · `seconds` · `needs nothing`
#
# Each answer with its working.

# %% [markdown]
# ## 02.1 A token budget
#
# One token is a block of 32 x 32 = 1,024 pixels, so 1,000 tokens are 1,024,000 pixels. The film keeps
# its shape and is rounded down to whole blocks, which is why a few tokens of the budget stay unused.
# `largest_max_pixels` finds the highest limit that keeps the budget; there is more than one right answer.

# %%
from radvlm_course.exercises import check
from radvlm_course.models.token_budget import film_tokens, largest_max_pixels

film = (2544, 3056)
answer_1 = 1000 * 32 * 32
highest = largest_max_pixels(film, tokens=1000)
for limit in (answer_1, highest):
    found = film_tokens(film, max_pixels=limit)
    width, height = found.size
    print(f"max_pixels {limit:9,d}: {width} x {height} pixels, {found.tokens} tokens")
check("02.1", answer_1, strict=True)

# %% [markdown]
# ## 02.2 The labels
#
# The user's turn is read, the assistant's opening marker is given. What the assistant writes counts:
# the answer, and the marker that ends it.

# %%
answer_2 = [-100] * 6 + ["[0.1, 0.2, 0.3, 0.4]", "<|im_end|>"]
check("02.2", answer_2, strict=True)

# %% [markdown]
# ## 02.3 The dearest digit
#
# A tenth weighs ten times a hundredth, so it is one of the four first digits. Moving an edge outwards makes
# the box larger; moving it inwards until only a sliver is left costs more. The left edge at 0.68 (or
# the right one at 0.46) leaves 0.08 of a width of 0.38: IoU 0.08 / 0.38 = 0.21. To the loss, this answer is as
# wrong as `[0.38, 0.47, 0.76, 0.63]`, whose IoU is 0.94.

# %%
from radvlm_course.boxes import parse_boxes
from radvlm_course.phantoms import make_phantom
from radvlm_course.viz import show_boxes

answer_3 = "[0.68, 0.47, 0.76, 0.62]"
check("02.3", answer_3, strict=True)
truth = parse_boxes("[0.38, 0.47, 0.76, 0.62]")
show_boxes(make_phantom(seed=8, size=256).image, truth, parse_boxes(answer_3), width=3.2)
