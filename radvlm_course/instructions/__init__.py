"""From studies to instruction pairs: wordings (data), the builder (Study to Example) and mixtures (many of them)."""

from radvlm_course.instructions.build_report import BuildReport, BuildWarning
from radvlm_course.instructions.builder import (
    BuildError,
    BuildOptions,
    build,
    build_examples,
)
from radvlm_course.instructions.labels import PAPER, LabelSemantics, present_findings, targets
from radvlm_course.instructions.mixture import (
    Entry,
    LeakError,
    Mixture,
    MixtureCard,
    MixtureError,
    TaskAmount,
    build_mixture,
    load_mixture,
)
from radvlm_course.instructions.templates import TemplateError, load_templates

__all__ = [
    "PAPER",
    "BuildError",
    "BuildOptions",
    "BuildReport",
    "BuildWarning",
    "Entry",
    "LabelSemantics",
    "LeakError",
    "Mixture",
    "MixtureCard",
    "MixtureError",
    "TaskAmount",
    "TemplateError",
    "build",
    "build_examples",
    "build_mixture",
    "load_mixture",
    "load_templates",
    "present_findings",
    "targets",
]
