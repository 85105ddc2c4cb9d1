import shutil

import pytest
import torch

from radvlm_course.models.adapters import save_trained
from radvlm_course.models.loading import load_for_training, load_model
from radvlm_course.training.checkpoints import CheckpointError, checkpoint_to_resume, last_checkpoint, take_up_adapter


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


def checkpoint_of(model, folder):
    path = make(folder, 10)
    save_trained(model, path)
    return str(path)


def test_a_models_own_checkpoint_is_resumed_from(loaded, tmp_path):
    assert checkpoint_to_resume(tmp_path, loaded.model) is None
    assert checkpoint_of(loaded.model, tmp_path) == checkpoint_to_resume(tmp_path, loaded.model)


def test_a_checkpoint_of_a_model_of_other_sizes_is_refused(loaded, tiny64_folder, tmp_path):
    checkpoint_of(load_model(tiny64_folder).model, tmp_path)
    with pytest.raises(CheckpointError, match=r"another model's: \S+ is \(\d.* there, and .* in the model.*delete"):
        checkpoint_to_resume(tmp_path, loaded.model)


def test_all_weights_and_an_adapter_are_not_taken_for_each_other(loaded, tiny_folder, adapter_settings, tmp_path):
    adapted = load_for_training(tiny_folder, adapter_settings(tiny_folder)).model
    checkpoint_of(loaded.model, tmp_path / "whole")
    checkpoint_of(adapted, tmp_path / "adapter")
    with pytest.raises(CheckpointError, match="holds all weights, where an adapter is expected"):
        checkpoint_to_resume(tmp_path / "whole", adapted)
    with pytest.raises(CheckpointError, match="holds an adapter, where all weights are expected"):
        checkpoint_to_resume(tmp_path / "adapter", loaded.model)


def test_an_adapter_of_another_base_is_refused_and_ones_own_is_taken_up(
    tiny_folder, tiny64_folder, adapter_settings, tmp_path
):
    adapted = load_for_training(tiny_folder, adapter_settings(tiny_folder)).model
    weights = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
    with torch.no_grad():
        for weight in weights.values():
            weight.add_(1.0)
    checkpoint = checkpoint_of(adapted, tmp_path)
    fresh = load_for_training(tiny_folder, adapter_settings(tiny_folder)).model
    assert checkpoint_to_resume(tmp_path, fresh) == checkpoint
    take_up_adapter(fresh, checkpoint)
    assert all(torch.equal(fresh.get_parameter(name), weight) for name, weight in weights.items())
    other = load_for_training(tiny64_folder, adapter_settings(tiny64_folder)).model
    with pytest.raises(CheckpointError, match=r"another model's: the adapter in .* does not fit"):
        checkpoint_to_resume(tmp_path, other)
    shutil.rmtree(checkpoint)
    take_up_adapter(fresh, checkpoint_to_resume(tmp_path, fresh))  # nothing to take up
