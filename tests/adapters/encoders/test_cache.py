"""Embeddings on disk: kept apart by encoder, whole or not there, usable by several at once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from flat import at

from f2rcli.adapters.encoders.cache import EmbeddingCache
from f2rcli.adapters.encoders.encoder import Embedding
from f2rcli.tasks.errors import InputError


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "缓存"))
    return tmp_path / "缓存"


def test_what_is_written_is_read_again() -> None:
    EmbeddingCache("甲").write({"帐篷": Embedding(at(10)), "猫": Embedding(at(20), cut=True)})
    found = EmbeddingCache("甲").read(["猫", "没有", "帐篷"])
    assert set(found) == {"帐篷", "猫"}
    assert np.array_equal(found["帐篷"].vector, at(10))
    assert (found["帐篷"].cut, found["猫"].cut) == (False, True)
    assert found["猫"].vector.dtype == np.float32


def test_more_keys_than_one_question_holds() -> None:
    many = {f"第{i}句": Embedding(at(i)) for i in range(1201)}
    cache = EmbeddingCache("甲")
    cache.write(many)
    found = cache.read([*many, "没有"])
    assert list(map(len, (found, many))) == [1201, 1201]
    assert all(np.array_equal(found[key].vector, many[key].vector) for key in many)


def test_encoders_are_kept_apart(root: Path) -> None:
    EmbeddingCache("a" * 64).write({"猫": Embedding(at(10))})
    assert EmbeddingCache("b" * 64).read(["猫"]) == {}
    assert {file.name for file in (root / "embeddings").iterdir()} == {
        f"{'a' * 16}.sqlite",
        f"{'b' * 16}.sqlite",
    }


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_damaged_file_is_begun_anew(keep: int) -> None:
    cache = EmbeddingCache("甲")
    cache.write({f"{i}": Embedding(at(i)) for i in range(400)})
    whole = cache.path.read_bytes()
    assert len(whole) > 8000
    cache.path.write_bytes(whole[:keep] if keep != 100 else b"not a database" * 100)
    assert EmbeddingCache("甲").read([str(i) for i in range(400)]) == {}
    cache.write({"猫": Embedding(at(30))})
    assert np.array_equal(cache.read(["猫"])["猫"].vector, at(30))


def test_what_was_not_written_to_its_end_is_not_there() -> None:
    """A process that is killed has not committed."""
    cache = EmbeddingCache("甲")
    cache.write({"猫": Embedding(at(30))})
    db = sqlite3.connect(cache.path)
    db.execute("INSERT INTO vectors VALUES ('狗', x'00', NULL, 0)")
    db.close()
    assert set(cache.read(["猫", "狗"])) == {"猫"}


def test_several_may_write_at_once() -> None:
    def work(worker: int) -> None:
        cache = EmbeddingCache("甲")
        for i in range(15):
            cache.write({f"{worker} {i}": Embedding(at(i)), f"both {i}": Embedding(at(i))})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    keys = [f"{who} {i}" for who in (0, 1, 2, 3, "both") for i in range(15)]
    assert set(EmbeddingCache("甲").read(keys)) == set(keys)


def test_a_folder_that_cannot_be_used_is_named(root: Path) -> None:
    root.write_text("a file")
    with pytest.raises(InputError) as caught:
        EmbeddingCache("甲").read(["猫"])
    assert str(root) in str(caught.value)
    assert "F2R_CACHE" in str(caught.value)
