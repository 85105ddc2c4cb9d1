"""The command line: what it shows before it fetches, samples, archives fetched by hand, runs that are repeated."""

import importlib.util
from pathlib import Path

import pytest

from radvlm_course.sources.downloads.table import Dataset, RemoteFile

FILMS = {f"films/{number:03d}.png": bytes([number]) * 5000 for number in range(30)}
SCRIPT = Path(__file__).parents[3] / "data_scripts" / "download.py"


@pytest.fixture
def module(monkeypatch, remote, archive_of):
    """The script, with a table of its own: a dataset of a table and two archives, and one for a person."""
    spec = importlib.util.spec_from_file_location("download_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files = (
        remote(b"a,b\n", "table.csv"),
        remote(archive_of({"reports/1.xml": b"<r/>"}, ".tgz"), "reports.tgz", unpack="."),
        remote(archive_of(FILMS, ".tgz"), "films.tgz", digest=False, unpack="images", strip="films", films=True),
        remote(archive_of({"more/1.png": b"m"}, ".zip"), "more.zip", unpack="images", films=True),
    )
    table = {
        "small": Dataset(title="A small set", home="https://example.org", licence="free for all, cite it", files=files),
        "by_hand": Dataset.model_validate(
            {
                "title": "By hand",
                "home": "https://example.org",
                "licence": "ask",
                "manual": {"unpack": ".", "strip": "top", "expects": ["films/*.png"], "steps": "1. Sign in."},
            }
        ),
    }
    monkeypatch.setattr(module, "datasets", lambda: table)
    return module


@pytest.fixture
def run(module, tmp_path, quick, capsys):
    def call(*arguments: str) -> tuple[int, str]:
        code = module.main([*arguments, "--root", str(tmp_path / "root"), "--quiet"], quick)
        return code, capsys.readouterr().out

    return call


def gets(server) -> list[str]:
    return [path for method, path, _ in server.requests if method == "GET"]


def test_size_and_licence_are_shown_and_nothing_is_fetched_without_consent(run, server) -> None:
    with pytest.raises(SystemExit, match=r"add --yes if you agree\. Nothing was done"):
        run("small")
    assert not gets(server)  # only sizes were asked


def test_everything_is_fetched_and_unpacked_where_the_reader_looks(run, server, tmp_path) -> None:
    code, shown = run("small", "--yes")
    assert code == 0 and "licence: free for all, cite it" in shown and "films.tgz: 0.0 MB" in shown
    assert "checked by sha256" in shown and "size only, digest recorded" in shown
    root = tmp_path / "root"
    assert (root / "table.csv").read_bytes() == b"a,b\n" and (root / "reports" / "1.xml").is_file()
    assert {path.name: path.read_bytes() for path in (root / "images").glob("0*.png")} == {
        name.removeprefix("films/"): content for name, content in FILMS.items()
    }
    assert (root / "images" / "more" / "1.png").read_bytes() == b"m"


def test_a_second_run_fetches_nothing_and_puts_back_what_was_lost(run, server, tmp_path) -> None:
    run("small", "--yes")
    before = len(server.requests)
    assert run("small", "--yes") == (
        0,
        "A small set\nfrom https://example.org\nlicence: free for all, cite it\n"
        "everything that can be fetched is here\n",
    )
    (tmp_path / "root" / "images" / "003.png").unlink()
    assert run("small", "--yes")[0] == 0
    assert (tmp_path / "root" / "images" / "003.png").is_file() and len(server.requests) == before
    (tmp_path / "root" / "table.csv").unlink()
    run("small", "--yes")
    assert gets(server)[-1] == "/table.csv" and len(gets(server)) == 5


def test_archives_may_be_deleted_and_are_not_fetched_again(run, server, tmp_path) -> None:
    run("small", "--yes", "--delete-archives")
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == [
        ".downloads",
        "images",
        "reports",
        "table.csv",
    ]
    assert "everything that can be fetched is here" in run("small", "--yes", "--verify")[1]


def test_verify_finds_a_file_whose_bytes_changed(run, server, tmp_path) -> None:
    run("small", "--yes")
    (tmp_path / "root" / "table.csv").write_bytes(b"x,y\n")
    assert "everything that can be fetched is here" in run("small", "--yes")[1]
    run("small", "--yes", "--verify")
    assert (tmp_path / "root" / "table.csv").read_bytes() == b"a,b\n"


def test_a_sample_is_the_tables_and_the_first_films(run, server, tmp_path, fault) -> None:
    server.faults["/films.tgz"] = [fault(cut_after=200), fault(status=503)]
    code, shown = run("small", "--yes", "--sample", "4")
    assert code == 0 and "4 films of films.tgz, which may hold more" in shown
    assert sorted(path.name for path in (tmp_path / "root" / "images").iterdir()) == [f"00{n}.png" for n in range(4)]
    assert (tmp_path / "root" / "reports" / "1.xml").is_file() and "/more.zip" not in gets(server)
    assert run("small", "--yes")[0] == 0 and len(list((tmp_path / "root" / "images").glob("*.png"))) == 30


def test_a_source_that_fails_is_an_error_that_keeps_the_rest(run, server, fault, tmp_path) -> None:
    server.faults["/films.tgz"] = [fault(status=404)]
    code, shown = run("small", "--yes")
    assert code == 1 and "stopped: " in shown and "status 404" in shown
    assert run("small", "--yes")[0] == 0 and gets(server).count("/table.csv") == 1


def test_too_little_room_is_told_before_anything_is_fetched(run, server, module, monkeypatch) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    code, shown = run("small", "--yes")
    assert code == 1 and "not enough room" in shown and not gets(server)


def test_where_a_person_must_fetch_it_says_how_and_unpacks_what_they_fetched(run, tmp_path, archive_of, server) -> None:
    code, shown = run("by_hand")
    assert code == 2 and "expected films/*.png" in shown and "1. Sign in." in shown and not server.requests
    archive = tmp_path / "mine.zip"
    archive.write_bytes(archive_of({f"top/{name}": content for name, content in FILMS.items()}, ".zip"))
    code, shown = run("by_hand", "--archive", str(archive))
    assert code == 0 and "30 files unpacked" in shown and "sha256" in shown
    assert run("by_hand")[0] == 0
    archive.write_bytes(b"<html>")
    assert run("by_hand", "--archive", str(archive))[0] == 1
    assert run("by_hand", "--archive", str(tmp_path / "absent.zip"))[0] == 1


def test_a_sample_of_what_a_person_fetched_is_the_tables_and_the_first_films_that_have_labels(
    run, tmp_path, archive_of
) -> None:
    archive = tmp_path / "mine.zip"
    content = {"top/unlabelled/a.png": b"u", "top/table.csv": b"a"} | {
        f"top/{name}": film for name, film in FILMS.items()
    }
    archive.write_bytes(archive_of(content, ".zip"))
    code, shown = run("by_hand", "--archive", str(archive), "--sample", "3")
    root = tmp_path / "root"
    assert code == 0 and "3 films of mine.zip, which may hold more: a sample is no dataset" in shown
    assert sorted(path.name for path in root.rglob("*.png")) == ["000.png", "001.png", "002.png"]
    assert (root / "table.csv").read_bytes() == b"a"
    assert "32 files unpacked" in run("by_hand", "--archive", str(archive))[1] and (root / "unlabelled/a.png").is_file()


def test_the_list_shows_every_licence_and_wrong_options_are_refused(module, capsys) -> None:
    assert module.main(["--list"]) == 0
    assert "licence: free for all" in capsys.readouterr().out
    for wrong in (["small"], ["--root", "r"], ["small", "--root", "r", "--sample", "0"]):
        with pytest.raises(SystemExit):
            module.main(wrong)
    assert isinstance(module.datasets()["small"].files[0], RemoteFile)
