"""Examples from files of both kinds."""

from pathlib import Path

from radvlm_course.evaluation.files import read_examples
from radvlm_course.records import Example, write_jsonl, write_parquet


def test_examples_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    examples = [Example(f"e{i}", "report_generation", "a.png", "q", "Clear.") for i in range(4)]
    write_jsonl(examples[:2], tmp_path / "a.jsonl")
    write_parquet(examples[2:], tmp_path / "b.parquet")
    assert read_examples([tmp_path / "b.parquet", tmp_path / "a.jsonl"]) == [*examples[2:], *examples[:2]]
