import pytest

from radvlm_course.lab import open_lab, repository_root
from radvlm_course.machine import Gpu, Machine

WORKSTATION = Machine(64, 500, (Gpu("A card", 23.6),))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "notebooks" / "deep")
    return tmp_path


def test_the_repository_is_found_from_any_folder_inside(repository):
    assert repository_root() == repository.resolve()


def test_outside_a_repository_the_error_says_how_to_start(tmp_path):
    with pytest.raises(FileNotFoundError, match="make lab"):
        repository_root(tmp_path)


def test_a_notebook_opens_the_run_at_the_repositorys_root(repository, monkeypatch, capsys):
    monkeypatch.delenv("RADVLM_COURSE_PROFILE", raising=False)
    monkeypatch.setenv("RADVLM_COURSE_RUN", "mine")
    course = open_lab()
    assert (repository / "runs" / "mine" / "profile.yaml").exists()
    assert course.profile.name == "laptop"
    assert "finished nothing yet" in capsys.readouterr().out


@pytest.fixture
def untold(monkeypatch):
    monkeypatch.delenv("RADVLM_COURSE_PROFILE", raising=False)
    monkeypatch.delenv("RADVLM_COURSE_DOWNLOAD", raising=False)
    monkeypatch.setenv("RADVLM_COURSE_RUN", "mine")


def test_a_workstation_gets_the_profile_that_fits_and_is_told_so_and_what_is_lacking(
    repository, untold, monkeypatch, capsys
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(repository / "cache"))
    course = open_lab(machine=WORKSTATION)
    assert course.profile.name == "gpu-24gb"
    said = capsys.readouterr().out
    assert "there is 1 x A card, 24 GB; so profile gpu-24gb was chosen" in said
    assert "RADVLM_COURSE_PROFILE" in said
    assert "it still lacks something: the weights of Qwen/Qwen3-VL-8B-Instruct (17.5 GB)" in said
    assert "the mixture 'open_data' needs a folder with each of its datasets" in said


def test_nothing_is_downloaded_or_begun_before_it_was_asked_for(repository, untold, monkeypatch):
    from radvlm_course.runs import RunError

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(repository / "cache"))
    monkeypatch.setattr("radvlm_course.readiness.quick_look", lambda: WORKSTATION)
    course = open_lab(machine=WORKSTATION)
    with pytest.raises(RunError, match="Nothing is downloaded unasked"):
        course.ensure("sft")
    assert not course.run.is_finished("curate")


def test_the_environment_goes_before_the_machine(repository, untold, monkeypatch, capsys):
    monkeypatch.setenv("RADVLM_COURSE_PROFILE", "laptop")
    assert open_lab(machine=WORKSTATION).profile.name == "laptop"
    assert "was chosen" not in capsys.readouterr().out


def test_a_run_that_exists_keeps_its_profile_on_a_machine_with_a_gpu(repository, untold, capsys):
    open_lab("laptop", machine=WORKSTATION)
    course = open_lab(machine=WORKSTATION)
    assert course.profile.name == "laptop"
    assert "was chosen" not in capsys.readouterr().out


def test_a_machine_without_a_gpu_is_told_nothing_of_a_choice(repository, untold, capsys):
    assert open_lab(machine=Machine(7.6, 50)).profile.name == "laptop"
    assert "chosen" not in capsys.readouterr().out
