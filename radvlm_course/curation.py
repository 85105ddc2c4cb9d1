"""The stage ``curate``: the profile's films become instruction pairs.

A profile names one dataset (``curate.source`` and its folder), or none: then the mixture names several, and each of
them lies in the folder ``curate.root``. What the mixture calls for and is not there is an error that lists it; doing
without is a setting (``curate.leave_out``), so that a run says what it was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from radvlm_course.instructions.mixture import Mixture, MixtureCard, MixtureError, build_mixture, load_mixture
from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.profiles import CurateSettings
from radvlm_course.records import Study
from radvlm_course.sources import Source
from radvlm_course.sources.folders import find_conversations, find_sources, fingerprint

__all__ = ["curate", "sources_of", "studies_of"]


def curate(settings: CurateSettings, folder: str | os.PathLike[str], progress: bool = True) -> MixtureCard:
    """Make the phantoms, if they are asked for, and build the mixture into a folder.

    Raises:
        SourceError: a dataset or a folder is missing, or cannot be read.
        MixtureError: the mixture calls for something that is not there.
    """
    if settings.source is None:
        return _curate_several(settings, folder, progress)
    if settings.source == "phantom":
        assert settings.image_size is not None  # of phantoms (radvlm_course.profiles)
        write_corpus(
            settings.root,
            patients=settings.patients,
            size=settings.image_size,
            seed=settings.seed,
            workers=settings.workers,
            progress=progress,
        )
    (source,) = sources_of(settings).values()
    return build_mixture(
        settings.mixture,
        source,
        folder,
        settings.seed,
        progress=progress,
        fingerprint=source.fingerprint(),
        read_reports=source.reports,
    )


def sources_of(settings: CurateSettings) -> dict[str, Source]:
    """Dataset -> what reads it: the one of the profile, or those of its mixture that are there.

    Raises:
        SourceError: no dataset is there, or a reader has no such option.
    """
    if settings.source is not None:
        return find_sources(None, [settings.source], {settings.source: settings.root}, settings.options)
    names = _mixture(settings).sources()
    options = {name: given for name, given in (settings.options or {}).items() if name not in _left_out(settings)}
    return find_sources(settings.root, names, settings.roots, options)


def studies_of(settings: CurateSettings, split: str) -> Iterator[Study]:
    """The studies of a split, of all the profile's datasets, whatever their mixture takes of them.

    Raises:
        SourceError: a dataset is missing or cannot be read.
    """
    options = load_mixture(settings.mixture).reader_options
    for name, source in sources_of(settings).items():
        yield from source(split, **options.get(name, {}))


def _curate_several(settings: CurateSettings, folder: str | os.PathLike[str], progress: bool) -> MixtureCard:
    sources = sources_of(settings)
    conversations = find_conversations(sources)
    return build_mixture(
        _mixture(settings),
        sources,
        folder,
        settings.seed,
        progress=progress,
        fingerprint=fingerprint(sources, conversations),
        conversations=conversations,
        workers=settings.workers,
    )


def _mixture(settings: CurateSettings) -> Mixture:
    """The mixture without what the profile leaves out."""
    mixture = load_mixture(settings.mixture)
    if not mixture.sources():
        raise MixtureError(
            f"{mixture.name}: expected a mixture whose entries name their datasets, since the profile has no "
            "curate.source; found one for a single dataset"
        )
    known = {entry.key for split in mixture.splits for entry in mixture.entries(split)} | set(mixture.sources())
    if unknown := sorted(_left_out(settings) - known):
        raise MixtureError(
            f"curate.leave_out: expected datasets or entries of {mixture.name} ({', '.join(sorted(known))}); found "
            f"{', '.join(unknown)}"
        )
    return mixture.without(sorted(_left_out(settings)))


def _left_out(settings: CurateSettings) -> set[str]:
    """Datasets and entries."""
    return set(settings.leave_out or ())
