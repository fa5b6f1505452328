"""Training recipes: short TOML files as frozen dataclasses, or one line that says what is wrong.

Here is what recipes of all stages are read by and what they share, and the recipe of SFT; those of the
other stages stand beside what they are for.
"""

import dataclasses
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

from f2rcli.tasks.errors import InputError


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value < 1


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) and v for v in value)


Text = Annotated[str, Rule("text", lambda v: isinstance(v, str) and bool(v))]
Texts = Annotated[tuple[str, ...], Rule("a list of texts", _texts)]
Flag = Annotated[bool, Rule("true or false", lambda v: isinstance(v, bool))]
Whole = Annotated[int, Rule("a whole number from 0", lambda v: type(v) is int and v >= 0)]
Count = Annotated[int, Rule("a whole number above 0", lambda v: type(v) is int and v > 0)]
Positive = Annotated[float, Rule("a number above 0", lambda v: _number(v) and v > 0)]
Decay = Annotated[float, Rule("a number from 0", lambda v: _number(v) and v >= 0)]
Share = Annotated[float, Rule("a number from 0 to below 1", _share)]
Betas = Annotated[
    tuple[float, float],
    Rule(
        "two numbers from 0 to below 1",
        lambda v: isinstance(v, list) and len(v) == 2 and all(map(_share, v)),
    ),
]
Precision = Literal["float32", "bfloat16"]
Storage = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Validation:
    """F1 by generation on so many requests of a task, every so many steps and at the end."""

    data: Text
    requests: Count
    every: Count


@dataclass(frozen=True, slots=True)
class Lora:
    """`targets`: names of the layers that get an adapter; left out, every linear layer."""

    rank: Count
    alpha: Count
    dropout: Share
    targets: Texts | None = None


@dataclass(frozen=True, slots=True)
class Length:
    """Samples of more tokens are dropped; pictures of more pixels are made smaller (left out: the
    release's limit, where the architecture has one)."""

    max_tokens: Count
    max_pixels: Count | None = None


@dataclass(frozen=True, slots=True)
class Optimiser:
    """AdamW. `warmup` is a share of all steps; `clip` the largest norm of a step's gradient."""

    learning_rate: Positive
    betas: Betas
    weight_decay: Decay
    schedule: Literal["cosine", "linear"]
    warmup: Share
    clip: Positive


@dataclass(frozen=True, slots=True)
class Loop:
    """`epochs` or `steps`, one of the two. A step is batch_size × accumulation samples a process."""

    batch_size: Count
    accumulation: Count
    gradient_checkpointing: Flag
    save_every: Count
    log_every: Count
    epochs: Positive | None = None
    steps: Count | None = None


class Recipe(Protocol):
    """What recipes of every stage of training have."""

    @property
    def name(self) -> str:
        """What its file is called, which is no key of it."""

    @property
    def stage(self) -> str:
        """The command that takes it: `f2r train STAGE`."""

    def complaint(self) -> str | None:
        """What keys say that does not go together."""


@dataclass(frozen=True, slots=True)
class SftRecipe:
    """Everything that a fine-tuning's result depends on, save the files that it names.

    `precision` is computed in; `save_as` is how the final weights are stored. `report` names trackers
    beside the log; none is used unless it is named.
    """

    name: str
    stage: Literal["sft"]
    base: Text
    data: Text
    seed: Whole
    method: Literal["full", "lora"]
    freeze_vision: Flag
    precision: Precision
    save_as: Storage
    length: Length
    optimiser: Optimiser
    loop: Loop
    validation: Validation
    lora: Lora | None = None
    report: tuple[Literal["tensorboard", "wandb"], ...] = ()

    def complaint(self) -> str | None:
        if (self.loop.epochs is None) == (self.loop.steps is None):
            return "loop needs one of epochs and steps"
        if (self.method == "lora") != (self.lora is not None):
            return "the table lora goes with method = 'lora', and only with it"
        return None


R = TypeVar("R", bound=Recipe)
P = TypeVar("P")


def shipped(stage: str = "") -> list[str]:
    """Names of the recipes that come along, of all stages or of one, after which they are called."""
    files = resources.files("f2rcli.training").joinpath("recipes").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(f"{stage}.toml"))


def load_recipe(config: str, kind: type[R]) -> R:
    """A shipped recipe by name, or a file. Raises InputError naming the file and the key at fault."""
    (stage,) = get_args(get_type_hints(kind)["stage"])
    table, where = _load_table(config, stage)
    if "name" in table:
        raise InputError("name is no key", where=where, fix="a recipe is called as its file")
    if (written := table.get("stage", stage)) != stage:
        raise InputError(
            f"stage {written!r} is not {stage}", where=where, fix="`f2r train` has a command for each"
        )
    recipe: R = _read(kind, {**table, "name": Path(where).stem}, where)
    return recipe


def load_part(config: str, key: str, kind: type[P]) -> P | None:
    """One key of a recipe of whatever stage, as `kind`; nothing else of the recipe is looked at.

    Raises InputError as `load_recipe` does.
    """
    table, where = _load_table(config)
    part: P | None = _value(kind, table[key], where, key) if key in table else None
    return part


def _load_table(config: str, stage: str = "") -> tuple[dict[str, Any], str]:
    """What is written in a shipped recipe or a file, and where that is."""
    if config in shipped():
        file = resources.files("f2rcli.training").joinpath("recipes", f"{config}.toml")
        where, text = f"{config}.toml", file.read_text(encoding="utf-8")
    else:
        where = config
        try:
            text = Path(config).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            known = ", ".join(shipped(stage))
            raise InputError("no such recipe", where=config, fix=f"{known}; or a file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read ({error})", where=config) from None
    try:
        return tomllib.loads(text), where
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}", where=where) from None


def _read(cls: Any, table: dict[str, Any], where: str, path: str = "") -> Any:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = get_type_hints(cls, include_extras=True)
    for key in table:
        if key not in fields:
            raise InputError(f"{path}{key} is no key", where=where, fix=f"keys are {', '.join(fields)}")
    for key, field in fields.items():
        if key not in table and field.default is dataclasses.MISSING:
            raise InputError(f"{path}{key} is missing", where=where)
    made = cls(**{key: _value(hints[key], value, where, path + key) for key, value in table.items()})
    if hasattr(made, "complaint") and (complaint := made.complaint()):
        raise InputError(complaint, where=where)
    return made


def _value(hint: Any, value: Any, where: str, path: str) -> Any:
    """The value as its annotation says. Raises InputError if it is not that."""
    if type(None) in get_args(hint):  # an optional key that is there
        hint = next(choice for choice in get_args(hint) if choice is not type(None))
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"{path} {value!r} is no table", where=where)
        return _read(hint, value, where, f"{path}.")
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            known = ", ".join(get_args(hint))
            raise InputError(f"{path} {value!r} is none of {known}", where=where)
        return value
    if get_origin(hint) is tuple:  # of literals
        if not isinstance(value, list):
            raise InputError(f"{path} {value!r} is not a list", where=where)
        return tuple(_value(get_args(hint)[0], part, where, path) for part in value)
    if hint is str:
        return value
    rule: Rule = hint.__metadata__[0]
    if not rule.holds(value):
        raise InputError(f"{path} {value!r} is not {rule.words}", where=where)
    return tuple(value) if isinstance(value, list) else value
