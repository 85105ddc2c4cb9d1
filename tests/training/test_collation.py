"""The loss of a conversation: every answer, no question."""

import dataclasses

from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from radvlm_course.training.collation import AssistantTurns
from radvlm_course.training.data import sft_dataset


def learned(processor, batch, row):
    labels = batch["labels"][row]
    return processor.tokenizer.decode(labels[labels != -100], skip_special_tokens=False)


def test_every_answer_of_a_conversation_is_learned_and_no_question(loaded, grounding_examples):
    talk = dataclasses.replace(
        grounding_examples[0],
        task="conversation",
        question="Is there a nodule?",
        answer="Yes, one.",
        follow_up=(("Where is it?", "At [0.10, 0.20, 0.40, 0.50]."), ("Is it large?", "No.")),
    )
    rows = sft_dataset([talk, grounding_examples[1]])
    batch = AssistantTurns(loaded.processor, completion_only_loss=True)([rows[0], rows[1]])
    end = "<|im_end|>\n"
    assert learned(loaded.processor, batch, 0) == f"Yes, one.{end}At [0.10, 0.20, 0.40, 0.50].{end}No.{end}"
    assert learned(loaded.processor, batch, 1) == f"{grounding_examples[1].answer}{end}"
    whole = loaded.processor.tokenizer.decode(batch["input_ids"][0])
    assert "Where is it?" in whole and "Is it large?" in whole  # asked, though not learned


def test_examples_with_one_answer_are_collated_as_trl_does(loaded, grounding_examples):
    rows = sft_dataset(grounding_examples)
    ours = AssistantTurns(loaded.processor, completion_only_loss=True)([rows[n] for n in range(4)])
    theirs = DataCollatorForVisionLanguageModeling(loaded.processor, completion_only_loss=True)(
        [rows[n] for n in range(4)]
    )
    assert set(ours) == set(theirs)
    assert all((ours[name] == theirs[name]).all() for name in ours)
