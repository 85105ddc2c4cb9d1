"""GREEN through an endpoint and through transformers: prompt, resumption, unreadable answers, what is refused."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from radvlm_course.evaluation import green
from radvlm_course.evaluation.green import GreenModel, green_question, main
from radvlm_course.evaluation.judgements import read_judgements
from radvlm_course.evaluation.score_command import main as score_main
from radvlm_course.records import Example

ANSWER = """[Explanation]:
Something.

[Clinically Significant Errors]:
(b) Missing a finding present in the reference: 1. Effusion.

[Clinically Insignificant Errors]:
None.

[Matched Findings]:
3. A; B; C."""
EXAMPLES = [
    Example(f"study-{i}", "report_generation", "a.png", "q", f"Small effusion. Heart {i} normal.", source="phantom")
    for i in range(4)
]
RESPONSES = [f"Effusion in study-{i}." for i in range(3)] + [""]


def arguments(paths: tuple[Path, Path], output: Path, *more: str) -> list[str]:
    files = ["--examples", str(paths[0]), "--predictions", str(paths[1]), "--output", str(output)]
    return [*files, "--quiet", *more]


def test_the_prompt_holds_both_reports_cut_to_300_words() -> None:
    (message,) = green_question("reference " * 400, "candidate " * 2)
    text = message["content"]
    assert message["role"] == "user"
    assert text.count("reference ") - text.count("the reference ") >= 299
    assert "reference " * 301 not in text
    assert "    2. Reference Report:\n    reference" in text
    assert "    3. Candidate Report:\n    candidate candidate\n" in text
    assert text.startswith("Objective: Evaluate the accuracy")
    assert text.endswith("    ```\n")
    assert all(f"[{name}]:" in text for name in ("Clinically Significant Errors", "Matched Findings"))


def test_an_endpoint_is_asked_once_a_report_and_its_judgements_become_a_metric(
    endpoint: Any, written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = endpoint(lambda study, number: "I will not say." if study == "study-1" else ANSWER)
    paths, output = written(EXAMPLES, RESPONSES), tmp_path / "green"
    options = arguments(paths, output, "--url", server.url, "--model", "green")
    assert main(options) == 0
    assert read_judgements(output / "green.jsonl") == {
        "study-0": 0.75,
        "study-1": None,
        "study-2": 0.75,
        "study-3": 0.0,  # a blank report is not asked about
    }
    assert read_judgements(output / "green_paper.jsonl")["study-1"] == 0.0
    assert len(server.requests) == 3
    assert {request["temperature"] for request in server.requests} == {0.0}
    assert "GREEN 0.500 (n 3); 1 answers could not be read" in capsys.readouterr().out
    assert main(options) == 0  # nothing is asked again
    assert len(server.requests) == 3

    scored = ["--examples", str(paths[0]), "--predictions", str(paths[1]), "--output", str(tmp_path / "s"), "--no-coco"]
    assert score_main([*scored, "--judgements", f"green={output / 'green.jsonl'}", "--resamples", "20"]) == 0
    values = json.loads((tmp_path / "s" / "m" / "scores.json").read_text())
    found = values["tasks"]["report_generation"]["green"]
    assert (found["value"], found["n"]) == (0.5, 3)
    assert values["counts"]["report_generation"]["green_unreadable"] == 1


def test_a_run_that_was_broken_off_goes_on_and_a_changed_report_is_asked_about_anew(
    endpoint: Any, written: Any, tmp_path: Path, language: ModuleType
) -> None:
    broken = language.Reply(status=401, body=b"{}")
    server = endpoint(lambda study, number: broken if study == "study-2" and number == 1 else ANSWER)
    options = ["--url", server.url, "--model", "green", "--concurrency", "1"]
    assert main(arguments(written(EXAMPLES, RESPONSES), tmp_path / "green", *options)) == 1
    assert not (tmp_path / "green" / "green.jsonl").exists()
    assert main(arguments(written(EXAMPLES, RESPONSES), tmp_path / "green", *options)) == 0
    assert dict(server.calls) == {"study-0": 1, "study-1": 1, "study-2": 2}
    changed = [RESPONSES[0], RESPONSES[1] + " Again.", *RESPONSES[2:]]
    assert main(arguments(written(EXAMPLES, changed), tmp_path / "green", *options)) == 0
    assert dict(server.calls) == {"study-0": 1, "study-1": 2, "study-2": 2}


def test_credentialed_reports_do_not_leave_this_machine(
    written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = [Example("study-0", "report_generation", "a.png", "q", "Clear.", source="mimic_cxr")]
    options = arguments(
        written(examples, ["Clear."]), tmp_path / "green", "--url", "http://192.0.2.1/v1", "--model", "g"
    )
    assert main(options) == 1
    assert "nothing was sent" in capsys.readouterr().err


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of a few thousand parameters, with a chat template that reads turns as GREEN's does."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("llama")
    words = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz0123456789.,:;()[]"]
    plain = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['from'] == 'human' %}<s>{{ m['value'] }}{% endif %}{% endfor %}"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=4096, **size))
    model.save_pretrained(folder)
    return folder


def test_a_model_in_this_process_answers_in_batches_and_is_resumed(
    tiny_llama: Path, written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, output = written(EXAMPLES, RESPONSES), tmp_path / "green"
    more = [
        "--model",
        str(tiny_llama),
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--batch-size",
        "2",
        "--max-tokens",
        "4",
    ]
    answered: list[int] = []
    plain = GreenModel.answer

    def dies(self: GreenModel, conversations: Any, *rest: Any) -> Any:
        if answered:
            raise OSError("the machine died")
        answered.append(len(conversations))
        return plain(self, conversations, *rest)

    monkeypatch.setattr(GreenModel, "answer", dies)
    assert main(arguments(paths, output, *more)) == 1
    monkeypatch.setattr(
        GreenModel, "answer", lambda self, c, *rest: (answered.append(len(c)), plain(self, c, *rest))[1]
    )
    assert main(arguments(paths, output, *more)) == 0
    assert answered == [2, 1]
    values = read_judgements(output / "green.jsonl")
    assert values == {
        "study-0": None,
        "study-1": None,
        "study-2": None,
        "study-3": 0.0,
    }  # random words are no judgement


def test_answers_in_a_batch_are_those_alone(tiny_llama: Path) -> None:
    model = GreenModel(str(tiny_llama), device="cpu", dtype="float32")
    questions = [green_question("clear.", "clear."), green_question("a much longer report, with effusion.", "clear.")]
    together = model.answer(questions, max_new_tokens=6)
    assert together == [model.answer([question], max_new_tokens=6)[0] for question in questions]
    assert {reason for _, reason in together} <= {"stop", "length"}


def test_answers_of_another_model_do_not_go_into_the_same_folder(
    endpoint: Any, written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, paths = endpoint(lambda study, number: ANSWER), written(EXAMPLES, RESPONSES)
    assert main(arguments(paths, tmp_path / "green", "--url", server.url, "--model", "one")) == 0
    assert main(arguments(paths, tmp_path / "green", "--url", server.url, "--model", "two")) == 1
    assert "made with other settings" in capsys.readouterr().err


def test_the_settings_are_the_papers() -> None:
    assert (green.MAX_WORDS, green.MAX_TOKENS, green.BATCH_SIZE) == (300, 2048, 8)
