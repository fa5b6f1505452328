"""The mini sets on disk: made on first use, kept in a cache folder, guarded by a digest."""

import os
import shutil
import tomllib
from importlib import resources
from pathlib import Path

from filelock import FileLock

from f2rcli.tasks.errors import InputError

SEED = 0  # of the sets that are meant by their names alone


def cache_root() -> Path:
    """`F2R_CACHE`, or `f2r` in the user's cache folder."""
    if own := os.environ.get("F2R_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "f2r"


def expected_digest(name: str) -> str:
    """Of the set with the default seed, as digests.toml has it."""
    text = resources.files("f2rcli.tasks").joinpath("mini", "digests.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)[name])


def cached_file(name: str) -> Path:
    """Where the records of a mini set are, once they are made."""
    return cache_root() / f"{name}-{expected_digest(name)[:12]}" / f"{name}.jsonl"


def ready(name: str) -> Path:
    """The records of a mini set, made now if they are not there.

    Raises InputError if the cache cannot be written, or if what was made here is not what was made
    elsewhere.
    """
    file = cached_file(name)
    if file.is_file():
        return file
    try:
        file.parent.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.parent.with_suffix(".lock")):
            if not file.is_file():
                shutil.rmtree(file.parent, ignore_errors=True)  # pictures without their records
                make(name, SEED, file.parent, expected_digest(name))
    except OSError as error:
        raise InputError(
            f"the mini sets cannot be kept there ({error.strerror or error})",
            where=str(cache_root()),
            fix="F2R_CACHE says where else",
        ) from None
    return file


def make(name: str, seed: int, folder: Path, expected: str | None = None) -> str:
    """Writes a set into a folder that appears only when it is whole; returns its digest.

    Raises InputError if the folder is there already, or if the digest is not the expected one.
    """
    must_be_new(folder)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    from f2rcli.tasks.mini.sets import SETS, write  # only here is Pillow needed

    digest = write(SETS[name], seed, part)
    if expected not in (None, digest):
        shutil.rmtree(part)
        raise InputError(
            f"{name} came out as {digest[:12]} and not as {str(expected)[:12]}: scores on it could not "
            "be compared",
            fix="please report this with your versions of Python and Pillow",
        )
    part.rename(folder)
    return digest


def must_be_new(folder: Path) -> None:
    if folder.exists():
        raise InputError("is there already", where=str(folder), fix="give another folder")
