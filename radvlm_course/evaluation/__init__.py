"""Evaluation: predictions as JSON lines, metrics that read nothing else, intervals, tables, baselines.

Any model of any origin can be scored: write its :class:`~radvlm_course.evaluation.predictions.Prediction`
lines and call :func:`radvlm_course.evaluation.score.score`. Only ``predict`` needs torch; it is imported by
who calls it.
"""
