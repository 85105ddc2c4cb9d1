import pytest

from radvlm_course.training.checkpoints import last_checkpoint


def make(folder, step, state='{"global_step": 1}'):
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    if state is not None:
        (path / "trainer_state.json").write_text(state)
    return path


def test_no_checkpoint_means_start_afresh(tmp_path):
    assert last_checkpoint(tmp_path) is None
    assert last_checkpoint(tmp_path / "missing") is None


def test_the_newest_by_number_is_used_not_by_name(tmp_path):
    make(tmp_path, 90)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-90")
    newest = make(tmp_path, 100)
    assert last_checkpoint(tmp_path) == str(newest)


@pytest.mark.parametrize("state", [None, "", '{"global_st'])
def test_a_checkpoint_cut_short_by_a_kill_is_removed_and_the_one_before_used(tmp_path, state):
    whole = make(tmp_path, 50)
    torn = make(tmp_path, 100, state)
    with pytest.warns(UserWarning, match="checkpoint-100 is incomplete"):
        assert last_checkpoint(tmp_path) == str(whole)
    assert not torn.exists()


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "completions").mkdir()
    assert last_checkpoint(tmp_path) is None
    assert (tmp_path / "checkpoint-best").exists()
