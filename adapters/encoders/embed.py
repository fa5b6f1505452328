"""What an encoder makes of requests: every text and picture once."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from f2rcli.adapters.encoders.cache import EmbeddingCache
from f2rcli.adapters.encoders.encoder import Embedding, Encoder
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.similarity import Vectors
from f2rcli.tasks.types import Request

Progress = Callable[[int, int], None]
T = TypeVar("T")


class Embeddings(NamedTuple):
    """By the query, the text, and the name that a picture was given with."""

    queries: dict[str, Embedding]
    texts: dict[str, Embedding]
    pictures: dict[str, Embedding]


def embed(
    encoder: Encoder, requests: Iterable[Request], on_progress: Progress = lambda done, total: None
) -> Vectors:
    """Vectors of the queries, utterances and pictures of requests whose pictures' files are found.

    A query is a text like any other. What is in the encoder's cache is not computed again;
    `on_progress` is called only where something is. Raises InputError for a picture that cannot be
    read.
    """
    texts: dict[str, None] = {}
    files: dict[str, Path] = {}
    for request in requests:
        dialogue = request.dialogue
        said = [request.query.text, *(u.text for u in dialogue.utterances if u.text.strip())]
        texts |= dict.fromkeys(said)
        files |= {i.path: Path(i.file) for i in dialogue.images if i.file and i.path not in files}
    _, read, seen = embed_each(encoder, (), texts, files, on_progress)
    return Vectors(
        encoder.name,
        encoder.digest,
        {text: one.vector for text, one in read.items()},
        {path: one.vector for path, one in seen.items()},
        sum(one.cut for one in read.values()),
    )


def embed_each(
    encoder: Encoder,
    queries: Iterable[str],
    texts: Iterable[str],
    pictures: Mapping[str, Path],
    on_progress: Progress = lambda done, total: None,
) -> Embeddings:
    """Every distinct query, text and picture once, in batches, from the encoder's cache where it has
    them. Raises InputError for a picture that cannot be read."""
    asked = {query: _text_key(query, "text" if encoder.symmetric else "query") for query in queries}
    said = {text: _text_key(text, "text") for text in texts}
    shown = {name: f"image {file_digest(file)}" for name, file in pictures.items()}
    known = EmbeddingCache(encoder.digest)
    found = known.read([*{*asked.values(), *said.values(), *shown.values()}])
    new_texts = {key: text for text, key in said.items() if key not in found}
    new_queries = {k: t for t, k in asked.items() if k not in found and k not in new_texts}
    new_pictures = {key: pictures[name] for name, key in shown.items() if key not in found}
    done, total = 0, len(new_texts) + len(new_queries) + len(new_pictures)

    def keep(items: list[tuple[str, T]], encode: Callable[[list[T]], list[Embedding]]) -> None:
        nonlocal done
        for begin in range(0, len(items), encoder.at_once):
            keys, batch = zip(*items[begin : begin + encoder.at_once], strict=True)
            made = dict(zip(keys, encode(list(batch)), strict=True))
            known.write(made)
            found.update(made)
            done += len(made)
            on_progress(done, total)

    # by length, so that little is padded
    keep(sorted(new_texts.items(), key=lambda item: len(item[1])), encoder.texts)
    keep(sorted(new_queries.items(), key=lambda item: len(item[1])), encoder.queries)
    keep(list(new_pictures.items()), encoder.images)
    return Embeddings(
        {query: found[key] for query, key in asked.items()},
        {text: found[key] for text, key in said.items()},
        {name: found[key] for name, key in shown.items()},
    )


def _text_key(text: str, kind: str) -> str:
    content = text.encode("utf-8", "backslashreplace")
    return f"{kind} {hashlib.sha256(content).hexdigest()}"
