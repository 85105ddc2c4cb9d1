"""What is known of the datasets, against their readers."""

import pytest

from radvlm_course.sources import READERS, get_reader
from radvlm_course.sources.catalogue import CATALOGUE, dataset


@pytest.mark.parametrize("name", READERS)
def test_every_reader_is_in_the_catalogue_and_states_its_licence(name: str) -> None:
    assert name in CATALOGUE
    text = get_reader(name).__doc__
    assert "icence" in text
    if CATALOGUE[name].licence.startswith(("PhysioNet", "CC", "Stanford")):
        assert CATALOGUE[name].licence.split(" License")[0] in " ".join(text.split())


def test_datasets_on_the_same_films_share_a_patient_namespace() -> None:
    namespaces: dict[str, set[str]] = {}
    for name, known in CATALOGUE.items():
        namespaces.setdefault(known.patients, set()).add(name)
    assert namespaces["mimic"] == {"mimic_cxr", "chest_imagenome", "ms_cxr"}
    assert namespaces["nih"] == {"nih_chestxray14", "chestx_det", "rsna_pneumonia"}
    assert namespaces["chexpert"] == {"chexpert", "chexpert_plus"}
    assert all(len(names) == 1 for space, names in namespaces.items() if space not in ("mimic", "nih", "chexpert"))


def test_a_dataset_of_ones_own_shares_nothing_and_has_no_known_licence() -> None:
    mine = dataset("my_films")
    assert (mine.patients, mine.licence) == ("my_films", "not in the catalogue")
