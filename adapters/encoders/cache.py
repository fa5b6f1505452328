"""Embeddings on disk: one file an encoder, by the digest of what was embedded."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np

from f2rcli.adapters.encoders.encoder import Embedding
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.mini.cache import cache_root

WAIT = 60  # seconds for another process to finish its batch
AT_ONCE = 500  # keys a question
TABLE = (
    "CREATE TABLE IF NOT EXISTS vectors "
    "(key TEXT PRIMARY KEY, vector BLOB, number INTEGER, cut INTEGER)"  # number: of several vectors
)
T = TypeVar("T")


class EmbeddingCache:
    """Keys → embeddings of the encoder with this digest, in a SQLite file under `F2R_CACHE`.

    SQLite sees to processes that write at the same time and to those that are killed. A file that is
    damaged all the same is begun anew: everything in it can be computed again.
    """

    def __init__(self, digest: str) -> None:
        self.path = cache_root() / "embeddings" / f"{digest[:16]}.sqlite"

    def read(self, keys: Sequence[str]) -> dict[str, Embedding]:
        """What is there of these. Raises InputError if the cache cannot be used."""

        def select(db: sqlite3.Connection) -> dict[str, Embedding]:
            found = {}
            for begin in range(0, len(keys), AT_ONCE):
                some = keys[begin : begin + AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = db.execute(f"SELECT * FROM vectors WHERE key IN ({marks})", some)
                for key, content, number, cut in rows:
                    vector = np.frombuffer(content, np.float32)
                    shaped = vector if number is None else vector.reshape(number, -1)
                    found[key] = Embedding(shaped, bool(cut))
            return found

        return self._do(select)

    def write(self, embeddings: Mapping[str, Embedding]) -> None:
        """All of them or none. Raises InputError if the cache cannot be written."""
        rows = []
        for key, one in embeddings.items():
            vector = np.asarray(one.vector, np.float32)
            number = len(vector) if vector.ndim > 1 else None
            rows.append((key, vector.tobytes(), number, one.cut))
        insert = "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)"
        self._do(lambda db: db.executemany(insert, rows))

    def _do(self, work: Callable[[sqlite3.Connection], T], *, again: bool = True) -> T:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as db, db:
                db.execute(TABLE)
                return work(db)
        except (sqlite3.OperationalError, OSError) as error:
            raise InputError(
                f"embeddings cannot be kept there ({error})",
                where=str(self.path),
                fix="F2R_CACHE says where else",
            ) from None
        except sqlite3.DatabaseError:
            if not again:
                raise
            self.path.unlink(missing_ok=True)
            return self._do(work, again=False)
