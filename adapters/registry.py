"""From a name on the command line to a model row, and from a row to a retriever.

Rows are data (models.toml, and a file of the user's); adapters are imported only when one is built.
"""

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from f2rcli.adapters.retriever import Retriever
from f2rcli.adapters.rules import (
    API_KINDS,
    KINDS,
    NAME,
    NEEDED,
    SHARED,
    VARIABLE,
    dotted,
    flaw_of_request,
)
from f2rcli.tasks.errors import InputError

if TYPE_CHECKING:
    from f2rcli.adapters.api.costs import Budget


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line or a recipe says for every model of the run; None leaves the row's own
    value. A `batch_size` of None is as many as memory holds; `exact` answers one by one, plainly. With
    `logprobs`, answers come with their tokens' log-probabilities; `note` is told what keeps one
    waiting."""

    seed: int = 0
    adapter: str | None = None
    dtype: str | None = None
    device: str | None = None
    batch_size: int | None = None
    exact: bool = False
    max_pixels: int | None = None
    max_new_tokens: int | None = None
    logprobs: bool = False
    top_k: int | None = None
    endpoint: str | None = None
    image_placement: Literal["in-place", "first"] = "in-place"
    concurrency: int = 8
    budget: "Budget | None" = None
    note: Callable[[str], None] | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model that can be built: `name` as typed, adapter `kind`, and the adapter's `settings`."""

    name: str
    kind: str
    trained: str
    about: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)
    checked: str = "not checked"

    def adapted(self, adapter: str) -> "ModelRow":
        """The same under an adapter, which shows in its name and its training."""
        return replace(self, name=f"{self.name}+{Path(adapter).name}", trained="adapter")

    def at(self, place: str) -> "ModelRow":
        """The same at an address of the user's own, which shows in its name."""
        return replace(self, name=f"{self.name} @ {place}")

    def images_first(self) -> "ModelRow":
        return replace(self, name=f"{self.name}, images first")


def load_rows(extra: Path | None = None) -> dict[str, ModelRow]:
    """All named rows, the user's file's after ours. Raises InputError for a row that cannot work."""
    shipped = resources.files("f2rcli.adapters").joinpath("models.toml")
    rows = _parse_rows(shipped.read_text(encoding="utf-8"), "models.toml")
    if extra:
        try:
            text = extra.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read ({error})", where=str(extra)) from None
        added = _parse_rows(text, str(extra))
        if taken := sorted(rows.keys() & added.keys()):
            raise InputError(
                f"the names {', '.join(taken)} are taken", where=str(extra), fix="rename the rows"
            )
        rows |= added
    return rows


def _parse_rows(text: str, where: str) -> dict[str, ModelRow]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}", where=where) from None
    return {name: _parse_row(name, table, where) for name, table in tables.items()}


def check_name(name: str, place: str) -> None:
    """Raises InputError for what cannot be typed as the name of a row, or means something else."""
    what, fits = NAME
    if not fits(name):
        raise InputError(f"{name!r} is not {what}", where=place)


def _parse_row(name: str, table: Any, where: str) -> ModelRow:
    check_name(name, where)
    place = f"{where}, row {name}"
    kind = table.get("kind") if isinstance(table, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        what = f"kind {kind!r} is none of {', '.join(KINDS)}"
        raise InputError(what, where=place, fix=dotted(name, table))
    rules = SHARED | KINDS[kind]
    for key, value in table.items():
        if key != "kind" and key not in rules:
            raise InputError(f"{kind} has no setting {key}", where=place)
        if key != "kind" and not rules[key][1](value):
            told = key if rules[key] is VARIABLE else f"{key} {value!r}"  # a key is not shown
            raise InputError(f"{told} is not {rules[key][0]}", where=place)
    settings = {key: value for key, value in table.items() if key in KINDS[kind]}
    if kind == "python" and "file" in settings:  # from where the row is, not from where f2r runs
        settings["file"] = str(Path(where).parent / _at_home(settings["file"]))
    if "top_k" in settings and "utterance_threshold" in settings:
        raise InputError("says both thresholds and top_k", where=place, fix="leave one of them out")
    sizes = table.get("sizes", {})
    if sizes:
        if table.get("size") not in sizes:
            raise InputError("size is none of sizes", where=place)
        settings["checkpoint"] = sizes[table["size"]]
    if lacking := [key for key in NEEDED.get(kind, []) if key not in settings]:
        raise InputError(f"lacks {' and '.join(lacking)}", where=place)
    trained, about = table.get("trained", "unknown"), table.get("about", "")
    if kind in API_KINDS and (flaw := flaw_of_request(kind, settings)):
        raise InputError(flaw, where=place)
    checked = table.get("checked", "not checked")
    return ModelRow(name, kind, trained, about, settings, sizes, checked)


def find_row(name: str, rows: dict[str, ModelRow]) -> ModelRow:
    """The row for a name, name:size, hf:PATH, embed:PATH, openai:NAME, anthropic:NAME or
    file.py:Class. Raises InputError."""
    if name in rows:
        return rows[name]
    head, _, tail = name.partition(":")
    for prefix, kind in (("hf", "transformers"), ("embed", "embedding")):
        if head == prefix and tail:
            return ModelRow(name, kind, "unknown", settings={"checkpoint": tail})
    if head in API_KINDS and tail:
        return ModelRow(name, head, "unknown", settings={"model": tail})
    file, _, cls = name.rpartition(":")
    if file.endswith(".py") and cls:
        return ModelRow(name, "python", "own", settings={"file": _at_home(file), "class": cls})
    if head in rows and tail in rows[head].sizes:
        row = rows[head]
        settings = {**row.settings, "checkpoint": row.sizes[tail]}
        return ModelRow(name, row.kind, row.trained, row.about, settings, checked=row.checked)
    if head in rows and rows[head].sizes:
        raise InputError(f"{head} has no size {tail!r}; it has {', '.join(rows[head].sizes)}")
    raise InputError(
        f"no model {name!r}",
        fix="`f2r models` lists the names; hf:PATH is any checkpoint, embed:PATH any encoder, "
        "openai:NAME or anthropic:NAME a model behind an API, file.py:Class a class of yours",
    )


def _at_home(file: str) -> str:
    """With `~` as a shell would have it."""
    return os.path.expanduser(file)  # noqa: PTH111 - Path's raises for an unknown user


def build(row: ModelRow, settings: Settings) -> Retriever:
    """The row's retriever, its checkpoint loaded. Raises InputError if something it needs is missing."""
    return _BUILDERS[row.kind](row, settings)


def _reference(row: ModelRow, settings: Settings) -> Retriever:
    from f2rcli.adapters import reference

    if row.kind == "random":
        return reference.Random(float(row.settings.get("share", 1 / 3)), settings.seed)
    kinds: dict[str, Callable[[], Retriever]] = {
        "everything": reference.Everything,
        "nothing": reference.Nothing,
        "oracle": reference.Oracle,
    }
    return kinds[row.kind]()


def _bm25(row: ModelRow, settings: Settings) -> Retriever:
    from f2rcli.adapters.lexical import BM25

    return BM25(float(row.settings["cutoff"]))


def _transformers(row: ModelRow, settings: Settings) -> Retriever:
    from f2rcli.adapters.vlm import VLM

    return VLM.load(row.settings, settings)


def _embedding(row: ModelRow, settings: Settings) -> Retriever:
    from f2rcli.adapters.embedding import EmbeddingRetriever

    return EmbeddingRetriever.load(row, settings)


def _api(row: ModelRow, settings: Settings) -> Retriever:
    from f2rcli.adapters.api import APIModel

    return APIModel.load(row, settings)


def _python(row: ModelRow, settings: Settings) -> Retriever:
    from f2rcli.adapters.own import load_own

    return load_own(Path(row.settings["file"]), row.settings["class"])


_BUILDERS: dict[str, Callable[[ModelRow, Settings], Retriever]] = {
    "random": _reference,
    "everything": _reference,
    "nothing": _reference,
    "oracle": _reference,
    "bm25": _bm25,
    "transformers": _transformers,
    "embedding": _embedding,
    "openai": _api,
    "anthropic": _api,
    "python": _python,
}
