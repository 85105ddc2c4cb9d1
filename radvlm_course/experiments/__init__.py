"""The paper's comparisons, in small: several trainings from one run, on the same prompts, scored on the same films.

- ``arms``: one training (start, tasks, reward, mode, seed), from a model of a run to scores on its test films.
- ``running``: all arms of an experiment, some at a time, each resumable.
- ``catalogue``: which arms an experiment has, and which comparisons it makes.
- ``results``: the comparisons with their intervals, as data and as Markdown; what was stored of a finished experiment.

``python -m radvlm_course experiments --help`` runs them.
"""
