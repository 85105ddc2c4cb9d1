"""What a rewritten report may be, one reason at a time; the command line, killed and started again."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from radvlm_course.language import endpoint
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.language.report_rewriting import check_rewritten, report_key, rewriting_jobs

REPORT = (
    "PA and lateral views of the chest. Compared to the prior study of ___, a 2.5 cm nodule in the left upper lobe is "
    "unchanged. The heart is of normal size. None of the ribs is broken."
)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "answer",
    [
        "There is a 2.5 cm nodule in the left upper lobe. The heart is of normal size.",
        "None of the ribs is broken.",
        "There are no fractures. None is seen.",
        "<think>The nodule was unchanged.</think>\nA 2.5 cm nodule is in the left upper lobe.",
        '"The heart is of normal size."',
        "The PA is enlarged.",  # the pulmonary artery
        "The lateral aspect of the left upper lobe has a nodule.",
    ],
)
def test_a_report_of_one_film_is_accepted(answer: str) -> None:
    verdict = check_rewritten(answer, REPORT)
    assert verdict.outcome == "accepted" and "<think>" not in verdict.output and not verdict.output.startswith('"')


@pytest.mark.parametrize("answer", ["None", "none", "None.", " None\n", '"None"', "<think>hm</think>None"])
def test_none_counts_as_the_whole_answer_only(answer: str) -> None:
    assert check_rewritten(answer, REPORT).outcome == "nothing_left"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("empty", ""),
        ("empty", "<think>all gone</think>"),
        ("refusal", "I'm sorry, but I can't help with that."),
        ("refusal", "I cannot provide medical advice."),
        ("refusal", "As an AI language model, I do not read films."),
        ("remark", "Here is the rewritten report: The heart is normal."),
        ("remark", "Sure! The heart is normal."),
        ("remark", "FINDINGS: The heart is normal."),
        ("remark", "The heart is normal.\n\nNote: comparisons were left out."),
        ("remark", "```\nThe heart is normal.\n```"),
        ("remark", "**Heart** normal."),
        ("remark", "The heart is normal. (Removed: comparison.)"),
        ("deleted_text", "The heart is normal, told to Dr. ___."),
        ("deleted_text", "Seen by [**Name**]."),
        ("prior_study", "The nodule is unchanged. The heart is normal."),
        ("prior_study", "None\n\nThere is no change."),
        ("view", "PA and lateral views. The heart is normal."),
        ("view", "Portable AP chest radiograph. The heart is normal."),
        ("view", "On the frontal view the heart is normal."),
        ("invented_number", "There is a 3.5 cm nodule in the left upper lobe."),
        ("longer", "The heart is normal. " * 40),
    ],
)
def test_anything_else_is_rejected_with_its_reason(code: str, answer: str) -> None:
    with pytest.raises(AnswerRejected) as rejected:
        check_rewritten(answer, REPORT)
    assert rejected.value.code == code


def test_the_reason_names_the_words_and_the_sentence() -> None:
    with pytest.raises(AnswerRejected, match=r"'unchanged' in 'A nodule is unchanged\.'"):
        check_rewritten("The heart is normal. A nodule is unchanged.", REPORT)


def test_a_rule_can_be_ignored() -> None:
    assert check_rewritten("No new nodule.", REPORT, ["no_new"]).output == "No new nodule."


def test_a_report_on_several_films_is_one_job_and_films_without_a_report_are_counted(studies) -> None:
    first = studies[0]
    films = [*studies, dataclasses.replace(first, image_path="b.png"), dataclasses.replace(first, report=" ")]
    jobs, skipped = rewriting_jobs(films)
    assert [job.key for job in jobs] == [f"s{number}" for number in range(10)]
    assert skipped == {"further film with the same report": 1, "film without a report": 1}
    with pytest.raises(ValueError, match="s0: expected one report, found two"):
        rewriting_jobs([first, dataclasses.replace(first, report="Other.")])
    with pytest.raises(ValueError, match="variant: expected"):
        rewriting_jobs(studies, "other")


def test_the_messages_hold_the_prompt_of_the_variant_and_the_report(studies) -> None:
    for variant, words in (("mimic_cxr", "Two examples"), ("chexpert_plus", "Correct spelling")):
        system, user = rewriting_jobs(studies, variant)[0][3].messages()
        assert system["role"] == "system" and words in system["content"]
        assert user["role"] == "user" and studies[3].report in user["content"]


@pytest.mark.parametrize(
    ("source", "study_id", "image_path", "key"),
    [
        ("mimic_cxr", "50000001_0a-1b", "files/p10/p10000001/s50000001/0a-1b.jpg", "50000001"),
        (
            "chexpert_plus",
            "patient00001_study2_view1",
            "a/PNG/train/patient00001/study2/view1.png",
            "train_patient00001_study2",
        ),
        ("open_i", "CXR1_1_IM-0001-3001", "images/CXR1_1_IM-0001-3001.png", "p"),
        ("elsewhere", "a/b", "c.png", "a_b"),
    ],
)
def test_a_report_is_named_as_the_reader_of_its_dataset_looks_for_it(
    studies, source, study_id, image_path, key
) -> None:
    study = dataclasses.replace(studies[0], source=source, study_id=study_id, image_path=image_path, patient_id="p")
    assert report_key(study) == key


def arguments(folder: Path, url: str, *more: str) -> list[str]:
    named = ["--source", "phantom", "--root", str(folder / "data"), "--output", str(folder / "out"), "--url", url]
    return [*named, "--model", "m", "--quiet", "--tries", "2", *more]


def test_the_command_shows_the_estimate_asks_runs_and_reports(tmp_path, studies, start_model, script, capsys) -> None:
    model, main = start_model(), script("rewrite_reports").main
    prices = tmp_path / "prices.yaml"
    prices.write_text("currency: USD\nmodels:\n  m: {input_per_million: 1000, output_per_million: 0}\n")
    assert main(arguments(tmp_path, model.url, "--estimate", "--prices", str(prices))) == 0
    assert "10 calls" in (shown := capsys.readouterr().out) and "USD" in shown and not model.requests
    with pytest.raises(SystemExit, match=r"add --yes if you agree\. Nothing was done"):
        main(arguments(tmp_path, model.url))
    assert not model.requests
    assert main(arguments(tmp_path, model.url, "--yes", "--limit", "4")) == 0
    assert main(arguments(tmp_path, model.url, "--yes")) == 0
    assert "10 jobs, 4 of them done before\noutcome: 6 x accepted" in capsys.readouterr().out
    assert main(arguments(tmp_path, model.url, "--yes")) == 0  # nothing left to do, nothing asked
    assert len(model.requests) == 10
    files = sorted(path.name for path in (tmp_path / "out" / "filtered_reports").iterdir())
    assert files == [f"s{number}.txt" for number in range(10)]


def test_the_command_refuses_credentialed_data_before_it_reads_any(tmp_path, script, monkeypatch) -> None:
    monkeypatch.setattr(endpoint, "OPEN_SOURCES", frozenset())
    with pytest.raises(SystemExit, match="nothing was sent: data of 'phantom'"):
        script("rewrite_reports").main(arguments(tmp_path, "http://192.0.2.1:9/v1", "--yes"))
    assert not (tmp_path / "out").exists()


def test_the_agreement_is_recorded_with_the_answers(tmp_path, studies, start_model, script) -> None:
    options = arguments(tmp_path, start_model().url, "--yes", "--covered-by-agreement", "DUA 12")
    assert script("rewrite_reports").main(options) == 0
    settings = json.loads((tmp_path / "out" / "filtered_reports.run" / "settings.json").read_text())
    assert settings["covered_by"] == "DUA 12" and set(settings["prompts"]) >= {"rewrite_mimic_cxr", "rewrite_report"}


def test_options_of_the_reader_are_passed_on_and_wrong_ones_named(tmp_path, studies, start_model, script) -> None:
    (tmp_path / "data" / "film-0.png").unlink()  # a film that check_images would miss, too
    options = arguments(tmp_path, start_model().url, "--yes")
    for wrong, said in (("colour=red", "unknown option colour"), ("colour", "expected NAME=VALUE")):
        with pytest.raises(SystemExit, match=said):
            script("rewrite_reports").main([*options, "--option", wrong])
    assert script("rewrite_reports").main([*options, "--option", "check_images=true"]) == 0
    assert not list((tmp_path / "out" / "filtered_reports").iterdir())  # these films are no pictures


def test_the_exit_status_tells_what_is_missing(tmp_path, studies, start_model, script, reply, capsys) -> None:
    down = start_model(lambda study, number: reply(status=500 if study == "study-3" else 200))
    assert script("rewrite_reports").main(arguments(tmp_path, down.url, "--yes")) == 1
    wrong = start_model(lambda study, number: reply(status=404, body=b"no such model"))
    assert script("rewrite_reports").main(arguments(tmp_path, wrong.url, "--yes")) == 2
    assert "stopped: " in capsys.readouterr().out
    prices = tmp_path / "prices.yaml"
    prices.write_text("currency: USD\nmodels: {}\n")
    assert script("rewrite_reports").main(arguments(tmp_path, down.url, "--yes", "--prices", str(prices))) == 2
    assert "no price of 'm'" in capsys.readouterr().out


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.*") if path.is_file()}


def test_killed_twice_nothing_is_lost_and_nothing_doubled(tmp_path, start_model, written, reply) -> None:
    written(tmp_path / "data", 40)
    model = start_model(lambda study, number: reply(hang=0.1))
    options = arguments(tmp_path, model.url, "--yes", "--concurrency", "4")
    command = [sys.executable, str(ROOT / "data_scripts" / "rewrite_reports.py"), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    records, outputs = tmp_path / "out" / "filtered_reports.run" / "records", tmp_path / "out" / "filtered_reports"
    kept: dict[str, tuple[bytes, int]] = {}
    for enough in (8, 22):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while len(list(records.glob("*.json"))) < enough:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert all(json.loads(path.read_text())["outcome"] == "accepted" for path in records.iterdir())
        assert all(path.read_text().endswith("size.\n") for path in outputs.iterdir())
        now = snapshot(records) | snapshot(outputs)
        assert kept.items() <= now.items()  # what was done before was not touched
        kept = now
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode == 0
    now = snapshot(records) | snapshot(outputs)
    assert kept.items() <= now.items()
    assert len(list(records.iterdir())) == len(list(outputs.iterdir())) == 40
    assert set(model.calls) == {f"study-{number}" for number in range(40)}
    assert sum(model.calls.values()) <= 40 + 2 * 4  # only calls that were under way were made again
