"""Mini sets on disk: made once and whole, or not at all."""

import errno
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from small_sets import REQUESTS, SMALL, digest

from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.mini import cache, sets

NAME = "mini-mldr"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sets that were written, by name."""
    names: list[str] = []

    def write(made: sets.MiniSet, seed: int, folder: Path) -> str:
        names.append(made.name)
        return original(made, seed, folder)

    original = sets.write
    monkeypatch.setattr(sets, "write", write)
    return names


def refusal(name: str = NAME) -> str:
    with pytest.raises(InputError) as caught:
        cache.ready(name)
    return str(caught.value)


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_a_set_is_made_on_first_use_and_once(small_mini: Path, written: list[str]) -> None:
    assert not small_mini.exists()
    file = cache.ready(NAME)
    assert file == cache.cached_file(NAME)
    assert file == small_mini / f"{NAME}-{digest(NAME)[:12]}" / f"{NAME}.jsonl"
    before = file.read_bytes()
    assert before.count(b"\n") == REQUESTS
    assert cache.ready(NAME) == file
    assert file.read_bytes() == before
    assert written == [NAME]
    assert folders(small_mini) == [file.parent.name]


def test_it_is_made_once_however_many_want_it(small_mini: Path, written: list[str]) -> None:
    wanting = [threading.Thread(target=cache.ready, args=(NAME,)) for _ in range(4)]
    for thread in wanting:
        thread.start()
    for thread in wanting:
        thread.join()
    assert written == [NAME]
    assert cache.cached_file(NAME).is_file()


def test_sets_lie_beside_each_other(small_mini: Path) -> None:
    files = [cache.ready(name) for name in SMALL]
    assert len({file.parent for file in files}) == len(SMALL)
    assert all(len(list(load_task(str(file)).requests())) == REQUESTS for file in files)


def test_another_world_is_another_folder(small_mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.ready(NAME)
    monkeypatch.setattr(cache, "expected_digest", lambda name: "0" * 64)
    assert cache.cached_file(NAME) == small_mini / f"{NAME}-000000000000" / f"{NAME}.jsonl"
    assert not cache.cached_file(NAME).exists()
    assert before.is_file()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
def test_what_a_kill_leaves_is_replaced(
    small_mini: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    def killed(made: sets.MiniSet, seed: int, folder: Path) -> str:
        (folder / f"{NAME}.jsonl").write_text("{half")
        (folder / "images/其他").mkdir(parents=True)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sets, "write", killed)
        with pytest.raises((KeyboardInterrupt, InputError)):
            cache.ready(NAME)
    assert not cache.cached_file(NAME).exists()
    [part] = folders(small_mini)
    assert part.endswith(".part")
    file = cache.ready(NAME)
    assert folders(small_mini) == [file.parent.name]
    assert not (file.parent / "images/其他").exists()
    assert len(list(load_task(str(file)).requests())) == REQUESTS


def test_pictures_without_their_records_are_no_set(small_mini: Path) -> None:
    file = cache.ready(NAME)
    before = file.read_bytes()
    file.unlink()
    (file.parent / "旧").touch()
    assert cache.ready(NAME).read_bytes() == before
    assert not (file.parent / "旧").exists()


def test_a_set_that_comes_out_otherwise_is_not_kept(
    small_mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "expected_digest", lambda name: "0123456789abcdef" * 4)
    assert refusal() == (
        f"{NAME} came out as {digest(NAME)[:12]} and not as 0123456789ab: scores on it could not be "
        "compared; please report this with your versions of Python and Pillow"
    )
    assert folders(small_mini) == []
    assert not cache.cached_file(NAME).exists()


def test_it_never_stands_where_it_would_be_found_before_it_was_checked(
    small_mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def rmtree(path: Path, **options: Any) -> None:
        seen.append(cache.cached_file(NAME).exists())
        original(path, **options)

    original = shutil.rmtree
    monkeypatch.setattr(cache, "expected_digest", lambda name: "0" * 64)
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    refusal()
    assert seen
    assert not any(seen)


@pytest.mark.parametrize(("below", "reason"), [("", "File exists"), ("甲/乙", "Not a directory")])
def test_a_cache_that_cannot_be_written_is_named(
    small_mini: Path, monkeypatch: pytest.MonkeyPatch, below: str, reason: str
) -> None:
    small_mini.write_text("a file")
    root = small_mini / below
    monkeypatch.setenv("F2R_CACHE", str(root))
    assert refusal() == (
        f"{root}: the mini sets cannot be kept there ({reason}); F2R_CACHE says where else"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (
            OSError("encoder error -2 when writing image file"),
            "encoder error -2 when writing image file",
        ),
    ],
)
def test_a_full_disk_is_named(
    small_mini: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    def write(made: sets.MiniSet, seed: int, folder: Path) -> str:
        raise error

    monkeypatch.setattr(sets, "write", write)
    assert refusal() == (
        f"{small_mini}: the mini sets cannot be kept there ({reason}); F2R_CACHE says where else"
    )
    assert not cache.cached_file(NAME).exists()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "家"))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("F2R_CACHE", "")
    assert cache.cache_root() == tmp_path / "家/.cache/f2r"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "乙"))
    assert cache.cache_root() == tmp_path / "乙/f2r"
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "丙"))
    assert cache.cache_root() == tmp_path / "丙"


def test_every_set_has_its_digest() -> None:
    assert all(len(bytes.fromhex(cache.expected_digest(name))) == 32 for name in sets.SETS)


def test_a_sibling_set_is_made_where_it_is_wanted(small_mini: Path, tmp_path: Path) -> None:
    folder = tmp_path / "新/姊妹"
    found = cache.make(NAME, 7, folder)
    assert found != digest(NAME)
    assert sorted(path.name for path in folder.iterdir()) == ["images", f"{NAME}.jsonl"]
    assert [path.name for path in folder.parent.iterdir()] == ["姊妹"]
    assert not small_mini.exists()  # nothing of it is in the cache


def test_a_folder_that_is_there_is_never_written_into(small_mini: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "空", tmp_path / "文件"):
        folder.mkdir() if folder.name == "空" else folder.touch()
        with pytest.raises(InputError) as caught:
            cache.make(NAME, 7, folder)
        assert str(caught.value) == f"{folder}: is there already; give another folder"
    assert list((tmp_path / "空").iterdir()) == []
