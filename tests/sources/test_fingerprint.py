"""The digest of a dataset's files: what changes it, what does not, and what is not read for it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from radvlm_course.sources import Source, _fingerprint
from radvlm_course.sources._fingerprint import FEW, add_folder, place_digest


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Tables at the top and further down, films, and more scene graphs than a folder of tables has."""
    root = tmp_path / "set"
    files = {"train.csv": "a,1\n", "list.txt": "a\n", "annotations/json/boxes.json": "[1]", "films/a/a.png": "film"}
    files |= {f"graphs/{number}.json": "{}" for number in range(FEW + 1)} | {"files/p1/s1.txt": "Clear."}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.csv", "a,0\n"),
        ("list.txt", "b\n"),
        ("annotations/json/boxes.json", "[2]"),
        ("films/a/a.png", "another film"),
        ("films/b.png", "film"),
        ("graphs/7.json", "{} "),
        ("files/p1/s1.txt", "Not clear."),
    ],
)
def test_a_changed_table_and_a_file_that_comes_or_has_another_size_change_it(
    dataset: Path, name: str, text: str
) -> None:
    before = place_digest(dataset)
    (dataset / name).write_text(text)
    assert place_digest(dataset) != before


@pytest.mark.parametrize(("name", "text"), [("films/a/a.png", "FILM"), ("graphs/7.json", "[]")])
def test_films_and_files_of_which_there_is_one_a_film_are_not_read(
    dataset: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    content = _fingerprint._content
    monkeypatch.setattr(_fingerprint, "_content", lambda path: read.append(Path(path).name) or content(path))
    before = place_digest(dataset)
    (dataset / name).write_text(text)
    assert place_digest(dataset) == before
    assert read == ["boxes.json", "list.txt", "train.csv"] * 2


def test_a_file_that_goes_or_is_renamed_changes_it(dataset: Path) -> None:
    before = place_digest(dataset)
    (dataset / "films" / "a" / "a.png").rename(dataset / "films" / "a" / "b.png")
    renamed = place_digest(dataset)
    (dataset / "films" / "a" / "b.png").unlink()
    assert len({before, renamed, place_digest(dataset)}) == 3


def test_it_is_that_of_names_sizes_and_tables_worked_out_by_hand(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "film.png").write_bytes(b"12345")
    (tmp_path / "table.csv").write_bytes(b"x")
    expected = b"b/film.png 5\n" + b"table.csv 1\n" + hashlib.sha256(b"x").digest()
    assert place_digest(tmp_path) == hashlib.sha256(expected).hexdigest()


def test_linked_folders_count_and_a_link_back_does_not_go_round_for_ever(dataset: Path, tmp_path: Path) -> None:
    films = tmp_path / "disk"
    (dataset / "films").rename(films)
    (dataset / "films").symlink_to(films)
    before = place_digest(dataset)
    (films / "new.png").write_text("film")
    assert place_digest(dataset) != before
    before = place_digest(dataset)
    (films / "round").symlink_to(dataset)
    assert place_digest(dataset) == before


def test_a_link_to_nothing_and_hidden_files_change_nothing(dataset: Path) -> None:
    before = place_digest(dataset)
    (dataset / "gone").symlink_to(dataset / "nowhere")
    (dataset / ".downloads").mkdir()
    (dataset / ".downloads" / "lock.json").write_text("{}")
    (dataset / "films" / ".DS_Store").write_text("view")
    assert place_digest(dataset) == before


def test_a_folder_that_is_not_there_adds_nothing_and_a_file_its_content(tmp_path: Path) -> None:
    digest = hashlib.sha256()
    add_folder(digest, tmp_path / "nowhere")
    assert digest.hexdigest() == hashlib.sha256().hexdigest() == place_digest(tmp_path / "nowhere")
    (tmp_path / "reports.csv").write_text("a")
    before = place_digest(tmp_path / "reports.csv")
    (tmp_path / "reports.csv").write_text("b")
    assert place_digest(tmp_path / "reports.csv") != before


def changed(source: Callable[[], Source], path: Path, text: str) -> bool:
    """Whether writing a file changes a source's fingerprint."""
    before = source().fingerprint()
    assert source().fingerprint() == before
    path.write_text(text)
    return source().fingerprint() != before


@pytest.mark.parametrize(
    ("name", "option"),
    [("chest_imagenome", "mimic_root"), ("mimic_cxr", "text_root"), ("chexpert_plus", "images_root")],
)
def test_a_source_counts_the_files_of_the_other_folders_that_its_options_name(
    dataset: Path, tmp_path: Path, name: str, option: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()

    def with_option() -> Source:
        return Source(name, dataset, **{option: str(other)})

    assert changed(with_option, other / "mimic-cxr-2.0.0-metadata.csv", "a")
    assert changed(with_option, other / "mimic-cxr-2.0.0-metadata.csv", "b")
    assert not changed(lambda: Source(name, dataset), other / "mimic-cxr-2.0.0-metadata.csv", "c")
    as_path = Source(name, dataset, **{option: other})
    assert as_path.fingerprint() == with_option().fingerprint() != Source(name, dataset).fingerprint()


def test_other_options_count_by_their_value_and_the_place_of_the_root_does_not(dataset: Path, tmp_path: Path) -> None:
    plain = Source("nih_chestxray14", dataset).fingerprint()
    assert Source("nih_chestxray14", dataset, seed=1).fingerprint() != plain
    dataset.rename(tmp_path / "moved")
    assert Source("nih_chestxray14", tmp_path / "moved").fingerprint() == plain


def test_another_folder_is_walked_once_for_several_datasets(dataset: Path, tmp_path: Path) -> None:
    others: dict[str, str] = {}
    sources = [Source(name, tmp_path, mimic_root=dataset) for name in ("chest_imagenome", "ms_cxr")]
    alone = [source.fingerprint() for source in sources]
    assert [source.fingerprint(others) for source in sources] == alone
    assert others == {str(dataset): place_digest(dataset)}
    others[str(dataset)] = "known"
    assert sources[0].fingerprint(others) != alone[0]
