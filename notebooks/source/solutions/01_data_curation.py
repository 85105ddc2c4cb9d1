# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 01 · Data curation: solutions
#
# **Tier** laptop · **Time** seconds · **Memory** under 1 GB · **Needs** nothing
#
# ## 01.1 A row of the NIH table as a box
#
# *x = 256, y = 192, width = 512, height = 384, in pixels of the released 1024 x 1024 image.*
#
# The row gives a corner and a size, so the second corner has to be computed. The pixels are those
# of the image that the NIH released, whatever the size of the file at hand; the conversion says so
# with `size`.

# %%
from radvlm_course.boxes import Box
from radvlm_course.exercises import check

x, y, width, height = 256, 192, 512, 384
answer = Box.from_pixels(x, y, x + width, y + height, size=(1024, 1024))
print(answer)
check("01.1", answer, strict=True)

# %% [markdown]
# Read as two corners, (256, 192, 512, 384) would have been a perfectly valid box, a quarter of the
# true one's area. No check can find that; only a picture can.
#
# ## 01.2 Patients in two lists
#
# *The set of pairs `(source, patient_id)` that stand in both lists of studies.*
#
# Datasets number their patients on their own: patient 1 of one and patient 1 of another are two
# people. (The opposite, one person in two datasets under two numbers, cannot be seen in the numbers
# at all; that is why the build compares the bytes of the images as well.)


# %%
def leaking_patients(train, test):
    in_train = {(study.source, study.patient_id) for study in train}
    in_test = {(study.source, study.patient_id) for study in test}
    return in_train & in_test


check("01.2", leaking_patients, strict=True)

# %% [markdown]
# ## 01.3 The sizes of a mixture
#
# *700 reports at 35%, 1,500 findings at 50%, 12,000 structures at 15%: how many of each are kept?*
#
# Each task allows a total: 700 / 0.35 = 2,000, 1,500 / 0.50 = 3,000, 12,000 / 0.15 = 80,000. The
# smallest decides, so reports keep all of their pairs and the others are thinned to their share of
# 2,000.

# %%
available = {
    "report_generation": 700,
    "abnormality_grounding": 1500,
    "anatomical_grounding": 12_000,
}
shares = {
    "report_generation": 0.35,
    "abnormality_grounding": 0.50,
    "anatomical_grounding": 0.15,
}
total = min(available[task] / share for task, share in shares.items())
sizes = {task: round(share * total) for task, share in shares.items()}
print(sizes)
check("01.3", sizes, strict=True)
