r"""DeepMedix-R1: a Qwen2.5-VL 7B that reasons about regions of the film before it answers.

Citation: Lin et al., "A Foundation Model for Chest X-ray Interpretation with Grounded Reasoning via Online
Reinforcement Learning", arXiv 2509.03906 (2025).

From the format file and the reward of the public repository: the instruction that follows every question (it is
part of the model's input format and is given word for word), thoughts in ``<think>`` tags that cite boxes in pixels
of the resized film (at most 512), the answer in ``\boxed{}``, lists of names separated by ``|``. From the paper's
code: at most 262,144 pixels, temperature 0.6, 4,096 tokens. The wording of the questions is ours. Its boxes belong
to the thought and are never asked for as an answer, so it grounds nothing here; classification is ours, the paper
asks for reports only.

Not done: the paper's code asks again, up to 64 times, where the thought does not end or the limit is reached.
"""

from __future__ import annotations

from typing import Any

from radvlm_course.chat import split_thought
from radvlm_course.evaluation.baselines.answers import after_heading, boxed, names_response
from radvlm_course.evaluation.baselines.base import Baseline, Card, Difference, Generation, Loaded, Prompt, user_turn
from radvlm_course.evaluation.baselines.loading import LoadOptions, loading, local_folder, require_model_type
from radvlm_course.records import Example

__all__ = ["CARD", "MAX_PIXELS", "DeepMedixR1"]

CARD = Card(
    name="deepmedix_r1",
    title="DeepMedix-R1",
    identifier="Qika/DeepMedix-R1",
    billions=7,
    licence="Apache-2.0",
    access="open",
    citation="Lin et al. 2025, arXiv 2509.03906",
    paper_tasks=("report_generation",),
)

MAX_PIXELS = 262_144
REPORT = "Write the FINDINGS section of the report of this chest X-ray."
CLASSIFICATION = (
    "Which of these findings does this chest X-ray show: {options}? Give the names that apply, separated by |, or none."
)
FORMAT = (
    "You FIRST think about the reasoning process as an internal monologue and then provide the final answer. The "
    "reasoning process MUST BE enclosed within <think> </think> tags. During this reasoning process, prioritize "
    "analyzing the local regions of the image by leveraging the bounding box coordinates in the format [x_min, y_min, "
    r"x_max, y_max]. The final answer MUST BE put in \boxed{}. An example is like: <think> reasoning process 1 with "
    "[x_min1, y_min1, x_max1, y_max1]; reasoning process 2 with [x_min2, y_min2, x_max2, y_max2] </think>. The answer "
    r"is: \boxed{answer}."
)


class DeepMedixR1(Baseline):
    card = CARD
    tasks = ("report_generation", "abnormality_classification")
    thinking = True
    differences = (
        Difference("temperature", "0.6", "0", "compared models are decoded alike, and repeatably"),
        Difference(
            "thought without an end",
            "all of it is the answer",
            "no answer",
            "it never came to an answer",
        ),
        Difference("boxed answer", "up to the first }", "to the brace that closes it", "answers may hold braces"),
    )

    def load(self, path_or_identifier: str | None = None, **options: Any) -> Loaded:
        from radvlm_course.evaluation.baselines.qwen2_5_vl import load_qwen2_5_vl

        chosen = LoadOptions(**options)
        folder = local_folder(CARD, path_or_identifier, chosen)
        require_model_type(CARD, folder, "qwen2_5_vl")
        return loading(CARD, folder, lambda: load_qwen2_5_vl(folder, chosen, MAX_PIXELS))

    def prompt(self, example: Example) -> Prompt:
        self.check(example)
        question = REPORT
        if example.task == "abnormality_classification":
            question = CLASSIFICATION.format(options=", ".join(self.classes))
        return user_turn(f"{question}\n\n{FORMAT}")

    def generation(self, task: str) -> Generation:
        return Generation(max_new_tokens=4096, temperature=0.6 if self.variant == "paper" else 0.0)

    def parse(self, completion: str, example: Example) -> str | None:
        response = split_thought(completion, thinking=True).response
        if self.variant == "paper":
            rest = completion.strip() if response is None else response
            answer = boxed(rest, balanced=False)
            return rest if answer is None else answer
        if response is None:
            return None
        answer = boxed(response)
        if answer is None:
            answer = after_heading(response, "the answer is")
        if example.task == "abnormality_classification":
            return names_response(answer, self.classes)
        return answer
