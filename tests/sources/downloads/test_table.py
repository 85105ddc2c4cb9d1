"""The table of sources is whole: every open dataset, official addresses, terms, a way for each."""

import pytest
from pydantic import ValidationError

from radvlm_course.sources.downloads.table import Dataset, RemoteFile, datasets

OFFICIAL = {
    "nih_chestxray14": ("nihcc.app.box.com", "nihcc.box.com"),
    "chestx_det": ("raw.githubusercontent.com/Deepwise-AILab/ChestX-Det-Dataset/", "resource.deepwise.com"),
    "open_i": ("openi.nlm.nih.gov",),
    "rsna_pneumonia": ("s3.amazonaws.com/east1.public.rsna.org/",),
    "tbx11k": (),
}


def test_every_open_dataset_has_terms_and_official_addresses_only() -> None:
    assert set(datasets()) == set(OFFICIAL)
    for name, dataset in datasets().items():
        assert len(dataset.licence) > 20 and dataset.home.startswith("https://")
        for file in dataset.files:
            assert any(f"//{host}" in file.url for host in OFFICIAL[name])


def test_what_comes_without_encryption_has_a_digest() -> None:
    files = [file for dataset in datasets().values() for file in dataset.files]
    assert all(file.digests for file in files if file.url.startswith("http:"))
    assert len({file.url for file in files}) == len(files)
    assert all(len({file.name for file in dataset.files}) == len(dataset.files) for dataset in datasets().values())


def test_the_tables_digests_are_those_of_the_real_files(real_nih, real_chestx_det) -> None:
    import gzip
    import hashlib

    tables = {file.name: file for name in ("nih_chestxray14", "chestx_det") for file in datasets()[name].files}
    boxes = gzip.decompress((real_nih / "BBox_List_2017.csv.gz").read_bytes())
    annotations = (real_chestx_det / "ChestX_Det_test.json").read_bytes()
    for name, content in (("BBox_List_2017.csv", boxes), ("ChestX_Det_test.json", annotations)):
        assert tables[name].size == len(content)
        assert tables[name].sha256 == hashlib.sha256(content).hexdigest()


def test_the_archives_of_nih_are_twelve_with_the_digests_that_nih_publishes() -> None:
    archives = [file for file in datasets()["nih_chestxray14"].files if file.films]
    assert [file.name for file in archives] == [f"images_{number:03d}.tar.gz" for number in range(1, 13)]
    assert all(set(file.digests) == {"md5"} and file.digest_from == "published by the source" for file in archives)
    assert 45e9 < sum(file.size or 0 for file in archives) < 46e9


def test_a_wrong_table_is_refused() -> None:
    for wrong in (
        {"name": "../a", "url": "https://a.org"},
        {"name": "a", "url": "a.org"},
        {"name": "a", "url": "https://a.org", "md5": "123"},
        {"name": "a", "url": "https://a.org", "sise": 1},
    ):
        with pytest.raises(ValidationError):
            RemoteFile(**wrong)
    with pytest.raises(ValidationError, match="files to fetch or steps"):
        Dataset(title="t", home="https://a.org", licence="none")
