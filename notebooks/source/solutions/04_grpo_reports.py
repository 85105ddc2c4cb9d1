# %% [markdown]
# # 04 · GRPO for reports: solutions
#
# `laptop tier` · `seconds` · `needs nothing`
#
# Each answer with its working, then with the course's own functions.

# %% [markdown]
# ## 04.1 GLEU by hand
#
# The reference `No pleural effusion .` has 4 single words, 3 pairs, 2 triples and 1 run of four:
# 10 runs. The response `No effusion .` has 3 + 2 + 1 = 6. Shared are "No", "effusion", "." and
# "effusion .":
# 4. ("No effusion" is no run of the reference: there is a word in between.) GLEU = 4 / 10.

# %%
from radvlm_course.exercises import check
from radvlm_course.viz.scoring import draw_ngrams

answer_1 = 4 / 10
check("04.1", answer_1, strict=True)
draw_ngrams("No effusion.", "No pleural effusion.")

# %% [markdown]
# ## 04.2 Ranked by GLEU
#
# B, the wrong side, differs in one word and keeps nearly all runs. C leaves the finding out and
# keeps the rest. A, the only acceptable report, shares little but single words. D shares the full
# stop. So the ranking is B, C, A, D: the two dangerous reports come first.

# %%
from radvlm_course.exercises.nb_04 import RANKED_REFERENCE, RANKED_REPORTS
from radvlm_course.phantoms import report_findings
from radvlm_course.records import Example
from radvlm_course.viz.scorecard import draw_scorecard, score_reports

check("04.2", "BCAD", strict=True)
asked = Example("toy", "report_generation", "", "Write a report.", RANKED_REFERENCE)
draw_scorecard(score_reports(RANKED_REPORTS, asked, report_findings))

# %% [markdown]
# The labeller that reads the facts knows the phantoms' grammar. It has no rule for "a little
# fluid on the left", so even the column of facts gives A nothing. Every automatic measure has its
# blind spots; that is why reports must also be read.
#
# ## 04.3 One token's k3
#
# d = log(0.25 / 0.5) = -0.693, so k3 = 0.5 + 0.693 - 1 = 0.193 nats. With the weight 0.01 it adds
# 0.0019 to the loss: a light leash, felt only where many tokens have moved.

# %%
import torch

from radvlm_course.training.grpo_math import k3_kl

answer_3 = k3_kl(torch.tensor([0.5]).log(), torch.tensor([0.25]).log()).item()
print(f"k3 = {answer_3:.3f}")
check("04.3", answer_3, strict=True)
