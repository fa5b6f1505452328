"""From a name on the command line to a model row, and from a row to a retriever.

Rows are data (models.toml, and a file of the user's); adapters are imported only when one is built.
"""

import importlib.util
import inspect
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from f2rcli.adapters.retriever import Retriever
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.errors import InputError

Rule = tuple[str, Callable[[Any], bool]]
TEXT: Rule = ("text", lambda value: isinstance(value, str) and bool(value))
COUNT: Rule = ("a whole number above 0", lambda value: type(value) is int and value > 0)
SHARE: Rule = ("a number from 0 to 1", lambda value: type(value) in (int, float) and 0 <= value <= 1)
SIZES: Rule = (
    "a table of texts",
    lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values()),
)
FLAG: Rule = ("true or false", lambda value: isinstance(value, bool))
OWN_MODULE = "f2r_model_"  # what the modules of users' own classes are called
SHARED: dict[str, Rule] = {
    "trained": TEXT,
    "about": TEXT,
    "size": TEXT,
    "sizes": SIZES,
    "checked": TEXT,
}
KINDS: dict[str, dict[str, Rule]] = {  # kind → the settings that its rows may have
    "random": {"share": SHARE},
    "everything": {},
    "nothing": {},
    "oracle": {},
    "bm25": {"cutoff": SHARE, "chosen_on": TEXT},
    "transformers": {
        "checkpoint": TEXT,
        "adapter": TEXT,
        "dtype": TEXT,
        "max_pixels": COUNT,
        "max_new_tokens": COUNT,
        "model_type": TEXT,
        "remote_code": FLAG,
        "refused": TEXT,
    },
    "python": {"file": TEXT, "class": TEXT},
}
NEEDED = {"transformers": ["checkpoint"], "python": ["file", "class"], "bm25": ["cutoff"]}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line or a recipe says for every model of the run; None leaves the row's own
    value. With `logprobs`, answers come with their tokens' log-probabilities."""

    seed: int = 0
    adapter: str | None = None
    dtype: str | None = None
    device: str | None = None
    batch_size: int = 1
    max_pixels: int | None = None
    max_new_tokens: int | None = None
    logprobs: bool = False
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

    def identity(self) -> dict[str, Any]:
        """What of the row itself answers depend on; the rest is for its retriever to say."""
        if self.kind != "python":
            return {"kind": self.kind}
        code = file_digest(Path(self.settings["file"]))
        return {"kind": self.kind, "class": self.settings["class"], "file_digest": code}

    def adapted(self, adapter: str) -> "ModelRow":
        """The same under an adapter, which shows in its name and its training."""
        return replace(self, name=f"{self.name}+{Path(adapter).name}", trained="adapter")


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


def _parse_row(name: str, table: Any, where: str) -> ModelRow:
    place = f"{where}, row {name}"
    kind = table.get("kind") if isinstance(table, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"kind {kind!r} is none of {', '.join(KINDS)}", where=place)
    rules = SHARED | KINDS[kind]
    for key, value in table.items():
        if key != "kind" and key not in rules:
            raise InputError(f"{kind} has no setting {key}", where=place)
        if key != "kind" and not rules[key][1](value):
            raise InputError(f"{key} {value!r} is not {rules[key][0]}", where=place)
    settings = {key: value for key, value in table.items() if key in KINDS[kind]}
    if kind == "python" and "file" in settings:  # from where the row is, not from where f2r runs
        settings["file"] = str(Path(where).parent / settings["file"])
    sizes = table.get("sizes", {})
    if sizes:
        if table.get("size") not in sizes:
            raise InputError("size is none of sizes", where=place)
        settings["checkpoint"] = sizes[table["size"]]
    if lacking := [key for key in NEEDED.get(kind, []) if key not in settings]:
        raise InputError(f"lacks {' and '.join(lacking)}", where=place)
    trained, about = table.get("trained", "unknown"), table.get("about", "")
    checked = table.get("checked", "not checked")
    return ModelRow(name, kind, trained, about, settings, sizes, checked)


def find_row(name: str, rows: dict[str, ModelRow]) -> ModelRow:
    """The row for `name`, `name:size`, `hf:PATH-or-id` or `file.py:Class`. Raises InputError."""
    if name in rows:
        return rows[name]
    head, _, tail = name.partition(":")
    if head == "hf" and tail:
        return ModelRow(name, "transformers", "unknown", settings={"checkpoint": tail})
    file, _, cls = name.rpartition(":")
    if file.endswith(".py") and cls:
        return ModelRow(name, "python", "own", settings={"file": file, "class": cls})
    if head in rows and tail in rows[head].sizes:
        row = rows[head]
        settings = {**row.settings, "checkpoint": row.sizes[tail]}
        return ModelRow(name, row.kind, row.trained, row.about, settings, checked=row.checked)
    if head in rows and rows[head].sizes:
        raise InputError(f"{head} has no size {tail!r}; it has {', '.join(rows[head].sizes)}")
    raise InputError(
        f"no model {name!r}",
        fix="`f2r models` lists the names; hf:PATH is any checkpoint, file.py:Class a class of yours",
    )


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


def _python(row: ModelRow, settings: Settings) -> Retriever:
    file, name = Path(row.settings["file"]), row.settings["class"]
    if not file.is_file():
        raise InputError("no such file", where=str(file))
    spec = importlib.util.spec_from_file_location(OWN_MODULE + file.stem, file)
    if spec is None or spec.loader is None:
        raise InputError("not a Python file", where=str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        what = f"cannot be imported ({type(error).__name__}: {error})"
        raise InputError(what, where=str(file)) from error
    cls = getattr(module, name, None)
    if not inspect.isclass(cls) or not issubclass(cls, Retriever) or inspect.isabstract(cls):
        raise InputError(
            f"{name} is not a class derived from f2rcli.adapters.retriever.Retriever with `retrieve`",
            where=str(file),
        )
    try:
        return cls()
    except TypeError as error:
        raise InputError(f"{name}() does not work: {error}", where=str(file)) from error


_BUILDERS: dict[str, Callable[[ModelRow, Settings], Retriever]] = {
    "random": _reference,
    "everything": _reference,
    "nothing": _reference,
    "oracle": _reference,
    "bm25": _bm25,
    "transformers": _transformers,
    "python": _python,
}
