# %% [markdown]
# # 06 · Unified evaluation: solutions
#
# `laptop tier` · `seconds` · `needs nothing`
#
# Each answer with its working, then with the course's own functions.

# %% [markdown]
# ## 06.1 Two readings of one model
#
# Paper-compatible: every film has an AP of its own, 1 for a hit and 0 for a miss; the mean is 12 / 20 = 0.6.
# Corrected: of 20 boxes written 12 are right, of 20 true boxes 12 are found; 0.6 x 0.6 = 0.36.

# %%
from radvlm_course.boxes import Box, format_box
from radvlm_course.evaluation.grounding import score_response, statistics
from radvlm_course.exercises import check
from radvlm_course.records import Example

answer_1 = (12 / 20, (12 / 20) * (12 / 20))
box, wrong = Box(0.2, 0.2, 0.4, 0.4), Box(0.6, 0.6, 0.8, 0.8)
asked = Example("1", "abnormality_grounding", "", "Where?", format_box(box), (box,), ("nodule",))
rows = [score_response(format_box(box if n < 12 else wrong), asked) for n in range(20)]
for name in ("map50_paper", "map50"):
    metric = statistics(rows)[name]
    print(f"{name:12s} {float(metric.function(metric.counts.sum(axis=0))):.2f}")
check("06.1", answer_1, strict=True)

# %% [markdown]
# ## 06.2 A paired difference
#
# The rows are paired by `example_id`, since files need not have the same order. Examples that only one model
# answered would turn a paired comparison into an unpaired one, in silence: so they are an error.


# %%
def answer_2(before, after):
    first = {row["example_id"]: row["soft_f1"] for row in before}
    second = {row["example_id"]: row["soft_f1"] for row in after}
    if set(first) != set(second):
        raise ValueError(f"not the same examples: {sorted(set(first) ^ set(second))}")
    return sum(second[name] - first[name] for name in first) / len(first)


check("06.2", answer_2, strict=True)

# %% [markdown]
# ## 06.3 A resample by patient
#
# Draw from the distinct patients, as many as there are, with replacement; each drawn patient brings all of
# their films, twice if drawn twice. The resample's number of films varies, and that is right.


# %%
def answer_3(patients, rng):
    names = sorted(set(patients))
    drawn = rng.choices(names, k=len(names))
    return [index for name in drawn for index, patient in enumerate(patients) if patient == name]


check("06.3", answer_3, strict=True)

# %% [markdown]
# With it, the interval of the toy in section 4:

# %%
import random

values = [0.90, 0.85, 0.95, 0.88, 0.20, 0.15, 0.25, 0.70, 0.75, 0.30]
patients = ["A"] * 4 + ["B"] * 3 + ["C"] * 2 + ["D"]
rng = random.Random(0)
means = []
for _ in range(2000):
    resample = answer_3(patients, rng)
    means.append(sum(values[index] for index in resample) / len(resample))
means.sort()
print(f"mean {sum(values) / 10:.2f}, 95% interval [{means[50]:.2f}, {means[1949]:.2f}]")

# %% [markdown]
# ## 06.4 What a ranking can decide
#
# All right boxes first: precision is 1 until recall has come as far as it goes, so AP is the recall. All wrong boxes
# first: precision rises with every right box up to that of the whole list, and since each recall counts the best
# precision there or beyond, AP is precision times recall. No ranking can give less: at the end of any list,
# precision and recall are these. Who writes nothing finds nothing.


# %%
def answer_4(right, written, true):
    recall = right / true
    precision = right / written if written else 0.0
    return precision * recall, recall


check("06.4", answer_4, strict=True)

# %% [markdown]
# COCO's tool agrees, but for its 101 points of recall. Six right boxes and six wrong ones for ten true boxes:

# %%
from radvlm_course.evaluation.coco import coco_average_precision

answers = [[box]] * 6 + [[wrong]] * 6
films = [[box]] * 10 + [[]] * 2
for ranking in ("worst", "best"):
    print(f"{ranking:5s} {coco_average_precision(answers, films, ['nodule'] * 12, ranking)['map50']:.3f}")
print("by hand", answer_4(6, 12, 10))
