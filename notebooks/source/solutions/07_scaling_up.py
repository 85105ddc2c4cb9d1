# %% [markdown]
# # 07 · Scaling up: solutions
#
# `laptop tier` · `seconds` · `needs nothing`
#
# Each answer with its working, then with the course's own functions.

# %% [markdown]
# ## 07.1 Tokens of a film
#
# 2048 x 2500 pixels shrink by the square root of 512 x 512 / (2048 x 2500), 0.226, to 463 x 566;
# rounded down to multiples of 32 that is 448 x 544, or 14 x 17 blocks.

# %%
from radvlm_course.exercises import check
from radvlm_course.models.token_budget import film_tokens

found = film_tokens((2048, 2500), 512 * 512)
print(found.size, found.tokens)
check("07.1", 14 * 17, strict=True)

# %% [markdown]
# ## 07.2 Full fine-tuning of 4B
#
# Weight, gradient, two moments of Adam and the reference: five numbers of four bytes for each of
# 4.44 billion weights, 88.8 billion bytes. A card of 80 GB is full before the first film.

# %%
gigabytes = 5 * 4 * 4.44e9 / 2**30
print(f"{gigabytes:.1f} GB")
check("07.2", gigabytes, strict=True)

# %% [markdown]
# ## 07.3 Shorter and shorter
#
# Read the answers. A reward that rises while answers shrink to less than half is the oldest sign of
# a reward that pays for brevity; the paper met it with RadGraph, whose reports fell from 207 to 93
# characters (its table 3). Only reading tells whether what went was padding or findings.

# %%
check("07.3", "B", strict=True)
