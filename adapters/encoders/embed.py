"""What an encoder makes of requests: every text and picture once."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from f2rcli.adapters.encoders.cache import EmbeddingCache
from f2rcli.adapters.encoders.encoder import Embedding, Encoder
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.similarity import Vectors
from f2rcli.tasks.types import Request

BATCH = 64
Progress = Callable[[int, int], None]
T = TypeVar("T")


def embed(
    encoder: Encoder, requests: Iterable[Request], on_progress: Progress = lambda done, total: None
) -> Vectors:
    """Vectors of the queries, utterances and pictures of requests whose pictures' files are found.

    What is in the encoder's cache is not computed again; `on_progress` is called only where something
    is. Raises InputError for a picture that cannot be read.
    """
    texts: dict[str, str] = {}
    files: dict[str, Path] = {}
    for request in requests:
        dialogue = request.dialogue
        said = [request.query.text, *(u.text for u in dialogue.utterances if u.text.strip())]
        texts |= {text: _text_key(text) for text in said}
        files |= {i.path: Path(i.file) for i in dialogue.images if i.file and i.path not in files}
    pictures = {path: f"image {file_digest(file)}" for path, file in files.items()}
    known = EmbeddingCache(encoder.digest)
    found = known.read([*texts.values(), *pictures.values()])
    new_texts = {key: text for text, key in texts.items() if key not in found}
    new_pictures = {key: files[path] for path, key in pictures.items() if key not in found}
    done, total = 0, len(new_texts) + len(new_pictures)

    def keep(items: list[tuple[str, T]], encode: Callable[[list[T]], list[Embedding]]) -> None:
        nonlocal done
        for begin in range(0, len(items), BATCH):
            keys, batch = zip(*items[begin : begin + BATCH], strict=True)
            made = dict(zip(keys, encode(list(batch)), strict=True))
            known.write(made)
            found.update(made)
            done += len(made)
            on_progress(done, total)

    # by length, so that little is padded
    keep(sorted(new_texts.items(), key=lambda item: len(item[1])), encoder.texts)
    keep(list(new_pictures.items()), encoder.images)
    return Vectors(
        encoder.name,
        encoder.digest,
        {text: found[key].vector for text, key in texts.items()},
        {path: found[key].vector for path, key in pictures.items()},
        sum(found[key].cut for key in texts.values()),
    )


def _text_key(text: str) -> str:
    content = text.encode("utf-8", "backslashreplace")
    return f"text {hashlib.sha256(content).hexdigest()}"
