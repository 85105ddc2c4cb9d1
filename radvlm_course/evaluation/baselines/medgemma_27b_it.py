"""MedGemma-27B-it: the instruction-tuned medical Gemma 3, with images.

Citation: Sellergren et al., "MedGemma Technical Report", arXiv 2507.05201 (2025).

From the model's card: the system message, the chat format of Gemma 3, 16-bit weights; and that a thought, where one
is written, stands between ``<unused94>`` and ``<unused95>``, which are ordinary tokens. From the paper's code:
greedy, 1,024 tokens, an expert radiologist is asked for succinct findings. The wording of the questions is ours.
The paper asks it for reports only; classification is ours. It was not trained to write boxes, so grounding is left
out.
"""

from __future__ import annotations

from typing import Any

from radvlm_course.evaluation.baselines.answers import after_heading, names_response
from radvlm_course.evaluation.baselines.base import Baseline, Card, Difference, Generation, Loaded, Prompt, user_turn
from radvlm_course.evaluation.baselines.loading import LoadOptions
from radvlm_course.evaluation.baselines.medgemma_4b_pt import ACCESS, LICENCE, load_gemma
from radvlm_course.records import Example

__all__ = ["CARD", "MedGemma27B"]

CARD = Card(
    name="medgemma_27b_it",
    title="MedGemma-27B-it",
    identifier="google/medgemma-27b-it",
    billions=27,
    licence=LICENCE,
    access=ACCESS,
    citation="Sellergren et al. 2025, arXiv 2507.05201",
    paper_tasks=("report_generation",),
)

SYSTEM = "You are an expert radiologist."
REPORT = "Describe the findings of this chest X-ray succinctly, in one paragraph. Write the findings only."
CLASSIFICATION = (
    "Which of these findings does this chest X-ray show: {options}? Answer with the names that apply, separated by "
    'commas, or with "none".'
)
THOUGHT_START, THOUGHT_END = "<unused94>", "<unused95>"


class MedGemma27B(Baseline):
    card = CARD
    tasks = ("report_generation", "abnormality_classification")
    differences = (
        Difference("heading", 'kept ("**Findings:**")', "taken off", "the references have none"),
        Difference("thought", "part of the report", "taken off", "it is not part of the answer"),
    )

    def load(self, path_or_identifier: str | None = None, **options: Any) -> Loaded:
        return load_gemma(CARD, path_or_identifier, LoadOptions(**options))

    def prompt(self, example: Example) -> Prompt:
        self.check(example)
        if example.task == "report_generation":
            return user_turn(REPORT, SYSTEM)
        return user_turn(CLASSIFICATION.format(options=", ".join(self.classes)), SYSTEM)

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=1024)

    def parse(self, completion: str, example: Example) -> str | None:
        if self.variant == "paper":
            return completion.strip()
        _, found, after = completion.rpartition(THOUGHT_END)
        if not found and THOUGHT_START in completion:
            return None  # cut off in mid-thought
        if example.task == "abnormality_classification":
            return names_response(after, self.classes)
        return after_heading(after)
