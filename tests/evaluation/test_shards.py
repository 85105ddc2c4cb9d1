"""Shards: every example in exactly one, whatever the order; merged without doubles, foreign lines or gaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.evaluation.predictions import Prediction, PredictionError, PredictionWriter
from radvlm_course.evaluation.shards import Shard, alone, read_folder, shard_files

IDS = [f"mimic_{number}" for number in range(40)]


def fill(folder, count, model="m", ids=IDS):
    for index in range(count):
        shard = Shard(index, count)
        with PredictionWriter(folder / shard.file_name) as writer:
            for identifier in filter(shard.holds, ids):
                writer.write(Prediction(identifier, "text", "text", model))


@given(st.text(st.characters(exclude_categories=[])), st.integers(1, 64))
def test_every_id_falls_to_exactly_one_shard(identifier, count):
    assert sum(Shard(index, count).holds(identifier) for index in range(count)) == 1


def test_the_division_is_fixed_for_ever_and_about_even():
    # The last two bits of `printf a | b2sum -l 64`, and so on: files of a run must fit those of a later version.
    assert [index for name in "abcde" for index in range(4) if Shard(index, 4).holds(name)] == [3, 1, 3, 3, 3]
    sizes = [sum(map(Shard(index, 8).holds, (f"e{n}" for n in range(3000)))) for index in range(8)]
    assert sum(sizes) == 3000
    assert 300 < min(sizes) <= max(sizes) < 450


@pytest.mark.parametrize("text", ["4/4", "-1/4", "1", "1/0", "a/b", "0/4/2"])
def test_a_shard_that_does_not_exist_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Shard.parse(text)


@pytest.mark.parametrize("count", [1, 3])
def test_a_folder_is_read_back_whole(tmp_path, count):
    fill(tmp_path, count)
    assert sorted(prediction.example_id for prediction in read_folder(tmp_path, IDS)) == sorted(IDS)


def test_a_folder_without_predictions_or_without_one_of_its_shards_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected predictions in"):
        read_folder(tmp_path)
    fill(tmp_path, 4)
    (tmp_path / "predictions.2-of-4.jsonl").unlink()
    with pytest.raises(PredictionError, match=r"of 4 shards 2 is not there.*predictions\.2-of-4\.jsonl.*--shard 2/4"):
        read_folder(tmp_path)


def test_two_divisions_in_one_folder_are_refused(tmp_path):
    fill(tmp_path, 1)
    fill(tmp_path, 2)
    with pytest.raises(PredictionError, match="predictions in 1 and in 2 shards"):
        read_folder(tmp_path)


def test_foreign_doubled_and_misplaced_lines_are_refused_by_file_and_line(tmp_path):
    fill(tmp_path, 2)
    own, other = (tmp_path / Shard(index, 2).file_name for index in (0, 1))
    size = len(own.read_bytes().splitlines())
    kept = own.read_bytes()
    with pytest.raises(PredictionError, match=r"line 1: example .* is not among the 3 examples asked"):
        list(read_folder(tmp_path, ["x", "y", "z"]))
    own.write_bytes(kept + other.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(PredictionError, match=rf"0-of-2\.jsonl, line {size + 1}: .*falls to another shard"):
        list(read_folder(tmp_path, IDS))
    own.write_bytes(kept + kept.splitlines(keepends=True)[0])
    with pytest.raises(PredictionError, match=rf"line {size + 1}: .*already answered in line 1"):
        list(read_folder(tmp_path, IDS))
    own.write_bytes(kept)
    other.write_bytes(other.read_bytes().replace(b'"m"', b'"other"'))
    with pytest.raises(PredictionError, match=r"1-of-2\.jsonl: written by model 'other', but .*0-of-2\.jsonl by 'm'"):
        list(read_folder(tmp_path, IDS))


def test_other_files_in_the_folder_are_not_taken_for_predictions(tmp_path):
    fill(tmp_path, 2)
    (tmp_path / "predictions_old.jsonl").write_text("no predictions")
    (tmp_path / "settings.json").write_text("{}")
    assert set(shard_files(tmp_path)) == {Shard(0, 2), Shard(1, 2)}


def test_a_second_writer_of_the_same_file_is_refused_until_the_first_is_done(tmp_path):
    path = tmp_path / "new" / "predictions.jsonl"
    with alone(path):
        with pytest.raises(PredictionError, match="another process is writing this file"), alone(path):
            pass
        with alone(path.with_name("other.jsonl")):
            pass
    with alone(path):
        pass
