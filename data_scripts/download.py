"""Download an open dataset from its official source.

    python data_scripts/download.py --list
    python data_scripts/download.py open_i --root /data/open_i --sample 50     # a first look
    python data_scripts/download.py nih_chestxray14 --root /data/nih           # everything: 45 GB, and 45 GB unpacked

Shows what will be fetched, how large it is and under which licence, and asks. Cut connections are taken up where they
broke, here and in a later run. Bytes are checked: by the source's digests where it publishes any, else by size, and the
digests of everything fetched are recorded in ROOT/.downloads/lock.json. Where a source wants an account or a click
(rsna_pneumonia, tbx11k) it says what to do, and unpacks the archive that you fetched (--archive FILE), whole or a
--sample of it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import httpx

from radvlm_course.consent import confirmed
from radvlm_course.sources.downloads.fetching import Fetcher, FetchError, FetchSettings, digests
from radvlm_course.sources.downloads.http_answers import Changed, Cut
from radvlm_course.sources.downloads.remote_archives import open_remote
from radvlm_course.sources.downloads.table import Dataset, Manual, RemoteFile, datasets
from radvlm_course.sources.downloads.unpacking import Unpacker, members_of

DONE, FAILED, UP_TO_YOU = 0, 1, 2
BYTES_OF_A_FILM = 500_000  # about, for the size of a sample


def main(arguments: list[str] | None = None, settings: FetchSettings | None = None) -> int:
    """The command line; ``settings`` is the patience with the server."""
    options = parse(arguments)
    if options.list:
        for name, dataset in datasets().items():
            print(f"{name}: {dataset.title}\n    {dataset.home}\n    licence: {dataset.licence}")
        return DONE
    dataset = datasets()[options.name]
    print(f"{dataset.title}\nfrom {dataset.home}\nlicence: {dataset.licence}")
    try:
        with Fetcher(options.root, settings, progress=not options.quiet) as fetcher:
            unpacker = Unpacker(options.root, fetcher.work, progress=not options.quiet)
            if dataset.files and not download(dataset, options, fetcher, unpacker):
                return DONE
            return take_archive(dataset.manual, options, unpacker) if dataset.manual else DONE
    except (FetchError, OSError) as error:
        print(f"stopped: {error}")
        return FAILED
    except KeyboardInterrupt:
        print("interrupted; what came is kept, run again to go on")
        return FAILED


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options; a dataset and a root, unless the list is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=sorted(datasets()), help="which dataset")
    parser.add_argument("--root", type=Path, help="folder for it")
    parser.add_argument("--list", action="store_true", help="show the datasets and their licences")
    parser.add_argument("--sample", type=int, metavar="N", help="the tables and N films, for a first look")
    parser.add_argument("--archive", type=Path, help="the archive that you fetched by hand")
    parser.add_argument("--delete-archives", action="store_true", help="delete each archive after unpacking it")
    parser.add_argument(
        "--verify", action="store_true", help="read files that are here again and compare their digests"
    )
    parser.add_argument("--yes", action="store_true", help="agree in advance")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    if not options.list and (options.name is None or options.root is None):
        parser.error("expected the name of a dataset and --root FOLDER, or --list")
    if options.sample is not None and options.sample < 1:
        parser.error(f"--sample: expected at least 1, found {options.sample}")
    return options


def download(dataset: Dataset, options: argparse.Namespace, fetcher: Fetcher, unpacker: Unpacker) -> bool:
    """Show, ask, fetch, unpack; False if the user does not agree."""
    wanted = [file for file in dataset.files if options.sample is None or not file.films]
    missing = [file for file in wanted if not is_done(file, fetcher, unpacker, options.verify)]
    film_archive = next((file for file in dataset.files if file.films), None) if options.sample else None
    if film_archive and unpacker.is_unpacked(film_archive.name):
        film_archive = None
    if not missing and not film_archive:
        print("everything that can be fetched is here")
        return True
    needed = show(missing, film_archive, options, fetcher)
    free = shutil.disk_usage(fetcher.work).free
    print(f"room: {gigabytes(needed)} needed at most, {gigabytes(free)} free")
    if needed > free:
        raise FetchError(f"not enough room in {options.root}; nothing was fetched (--delete-archives needs less)")
    if not confirmed("Fetch this under the licence above?", options.yes):
        return False
    for file in missing:
        if not fetcher.has(file, options.verify):
            fetcher.fetch(file)
        if file.unpack is not None:
            unpacker.unpack(options.root / file.name, file.unpack, file.strip)
            if options.delete_archives:
                (options.root / file.name).unlink()
    if film_archive:
        count = take_sample(film_archive, options.sample, fetcher, unpacker)
        print(f"{count} films of {film_archive.name}, which may hold more: a sample is no dataset")
    print(f"fetched into {options.root}")
    return True


def is_done(file: RemoteFile, fetcher: Fetcher, unpacker: Unpacker, verify: bool) -> bool:
    """Whether nothing is left to do for a file; an archive need not be there any more once it is unpacked."""
    if file.unpack is None:
        return fetcher.has(file, verify)
    wrong = verify and (fetcher.folder / file.name).is_file() and not fetcher.has(file, verify)
    return unpacker.is_unpacked(file.name) and not wrong


def show(
    missing: list[RemoteFile], film_archive: RemoteFile | None, options: argparse.Namespace, fetcher: Fetcher
) -> int:
    """Print what will be fetched; returns the bytes needed on disk at most."""
    needed = largest = 0
    for file in missing:
        if fetcher.has(file):
            print(f"  {file.name}: here, to be unpacked")
            needed += (options.root / file.name).stat().st_size
            continue
        size, have = fetcher.size_of(file), fetcher.fetched_so_far(file)
        told = "size not told by the source" if size is None else gigabytes(size)
        checked = ", ".join(file.digests) if file.digests else "size only, digest recorded"
        print(f"  {file.name}: {told}{f', {gigabytes(have)} of it here' if have else ''}; checked by {checked}")
        needed += max((size or 0) - have, 0) + (0 if file.unpack is None or options.delete_archives else size or 0)
        largest = max(largest, size or 0)
    if film_archive:
        print(f"  {options.sample} films of {film_archive.name}, about {gigabytes(options.sample * BYTES_OF_A_FILM)}")
        needed += options.sample * BYTES_OF_A_FILM
    return needed + (largest if options.delete_archives else 0)


def take_sample(file: RemoteFile, count: int, fetcher: Fetcher, unpacker: Unpacker) -> int:
    """The first films of a remote archive, tried again when the connection breaks; films that are here stay."""
    settings = fetcher.settings
    for number in range(settings.tries):
        try:
            with open_remote(fetcher.client, file) as archive:
                return unpacker.take(members_of(archive, file.name), count, file.name, file.unpack or ".", file.strip)
        except (Cut, Changed, httpx.TransportError) as error:
            last = error
            time.sleep(min(settings.first_pause * 2**number, settings.longest_pause))
    raise FetchError(f"{file.url}: no sample in {settings.tries} tries (last: {last!r:.200}); run again to go on")


def take_archive(manual: Manual, options: argparse.Namespace, unpacker: Unpacker) -> int:
    """Unpack what a person fetched, or say how to fetch it."""
    if options.archive is not None:
        archive, into, strip = options.archive, manual.unpack, manual.strip
        print(f"{archive.name}: sha256 {digests(archive)['sha256']}")
        if options.sample is None:
            print(f"{unpacker.unpack(archive, into, strip)} files unpacked")
        else:
            count = unpacker.unpack_sample(archive, options.sample, into, strip, manual.expects)
            print(f"{count} films of {archive.name}, which may hold more: a sample is no dataset")
    absent = [pattern for pattern in manual.expects if not next(options.root.glob(pattern), None)]
    if not absent:
        print(f"here: {', '.join(manual.expects)} in {options.root}")
        return DONE
    print(f"expected {', '.join(absent)} in {options.root}, found none.\n\n{manual.steps}")
    return UP_TO_YOU


def gigabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
