import pytest

from radvlm_course.lab import open_lab, repository_root


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
