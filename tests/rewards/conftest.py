"""A group as GRPO makes it, with rollouts of every kind."""

import pytest

from radvlm_course.records import Example

REFERENCES = (
    "Mild cardiomegaly with small right pleural effusion and bibasilar atelectasis. No pneumothorax.",
    "The heart size is normal. There is no focal consolidation in the left lower lobe.",
    "Severe pulmonary edema, unchanged. New opacity in the right upper lobe, pneumonia without effusion.",
)


@pytest.fixture(scope="session")
def report_pairs() -> tuple[list[str], list[Example]]:
    """33 completions and the examples they answer: exact, changed, empty, strange."""
    completions, examples = [], []
    for number, reference in enumerate(REFERENCES):
        example = Example(f"e{number}", "report_generation", "film.png", "Report?", reference)
        rollouts = [
            reference,
            reference.replace("right", "left").replace("No ", ""),
            reference.split(".")[0] + ".",
            f"{reference} Tube above the carina.",
            "No acute cardiopulmonary process.",
            "",
            " \n\t",
            "😀 🫁 " * 10,
            "Pas d'épanchement. Кардиомегалия. 肺部清晰。",
            "The heart is large. " * 200,
            "No effusion.\x00 \udc80 [SEP]",
        ]
        completions += rollouts
        examples += [example] * len(rollouts)
    return completions, examples
