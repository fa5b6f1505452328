"""A class of the user's own as a retriever: `--model file.py:Class`."""

import contextlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from f2rcli.adapters.retriever import Retriever, UnfinishedError
from f2rcli.adapters.rules import COUNT, YES_NO
from f2rcli.tasks.datasets import file_digest
from f2rcli.tasks.errors import InputError, cut
from f2rcli.tasks.types import Request, Retrieval

OWN_MODULE = "f2r_model_"  # what the modules of users' own classes are called
ATTRIBUTES = {"uses_images": YES_NO, "sees_gold": YES_NO, "max_turns": COUNT}


class Own(Retriever):
    """The user's object behind our interface: whatever goes wrong in it is one line, with its place.

    `code` (the class, the digests of its file and of the modules beside it) is part of its identity.
    """

    def __init__(self, model: Retriever, name: str, file: Path, code: dict[str, Any]) -> None:
        self.model, self.name, self.file, self.code = model, name, file, code
        for attribute, (wanted, fits) in ATTRIBUTES.items():
            with _told(file, f"{attribute} of {name}"):
                value = getattr(model, attribute)
            if not fits(value) and not (attribute == "max_turns" and value is None):
                what = f"{attribute} of {name} is {cut(repr(value))}, not {wanted}"
                raise InputError(what, where=str(file))
            setattr(self, attribute, value)

    def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
        with _told(self.file, self.name, "the answers before it are kept"):
            found: Any = self.model.retrieve(requests)
            if not isinstance(found, Iterable):
                raise InputError(f"retrieve() gives {cut(repr(found))}, not a retrieval a request")
            yield from found

    def identity(self) -> dict[str, Any]:
        said = self._said("identity")
        if taken := sorted(said.keys() & {"kind", "class", "file_digest", "modules"}):
            what = f"identity() of {self.name} says {', '.join(taken)}, which f2r says of itself"
            raise InputError(what, where=str(self.file), fix="give it another name")
        return self.code | said

    def recall(self, attempts: Iterable[Retrieval]) -> None:
        with _told(self.file, f"recall() of {self.name}"):
            self.model.recall(attempts)

    def environment(self) -> dict[str, Any]:
        return self._said("environment")

    def _said(self, method: str) -> dict[str, Any]:
        with _told(self.file, f"{method}() of {self.name}"):
            said: Any = getattr(self.model, method)()
            json.dumps(said, allow_nan=False)
            if not isinstance(said, dict):
                raise InputError(f"it gives {cut(repr(said))}, not a dict")
        return said


def load_own(file: Path, name: str) -> Own:
    """An instance, made while the modules beside the file can be imported. Raises InputError for a file
    that cannot be imported, and a class that is no retriever or cannot be made."""
    if not file.is_file():
        raise InputError("no such file", where=str(file))
    file = file.absolute()
    spec = importlib.util.spec_from_file_location(OWN_MODULE + file.stem, file)
    if spec is None or spec.loader is None:
        raise InputError("not a Python file", where=str(file))
    module = importlib.util.module_from_spec(spec)
    code: dict[str, Any] = {"class": name, "file_digest": file_digest(file)}
    sys.modules[spec.name] = module  # dataclasses look their module up there
    with _importable(file.parent) as beside:
        with _told(file, "cannot be imported"):
            spec.loader.exec_module(module)
        cls = getattr(module, name, None)
        if not inspect.isclass(cls) or not issubclass(cls, Retriever) or inspect.isabstract(cls):
            raise InputError(
                f"{name} is not a class derived from f2rcli.adapters.retriever.Retriever with "
                "`retrieve`",
                where=str(file),
            )
        with _told(file, f"{name}() does not work"):
            model = cls()
    return Own(model, name, file, code | ({"modules": beside} if beside else {}))


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[dict[str, str]]:
    """While it lasts, the modules in the folder can be imported. Afterwards their names are free again,
    for installed packages and for the next folder's; what was imported is given as path → digest."""
    before, beside = set(sys.modules), dict[str, str]()
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield beside
    finally:
        with contextlib.suppress(ValueError):  # the user's code may have changed it, too
            sys.path.remove(str(folder))
        for name in sorted(set(sys.modules) - before):
            module = sys.modules[name]
            place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
            if _is_beside(folder, name, place):
                del sys.modules[name]
                if Path(place).is_file():  # not a folder without __init__.py
                    beside[Path(place).relative_to(folder).as_posix()] = file_digest(Path(place))


def _is_beside(folder: Path, name: str, place: str) -> bool:
    """Whether a module was found in the folder itself, not in an environment or a checkout below it."""
    if not Path(place).is_relative_to(folder) or Path(place) == folder:
        return False
    first = Path(place).relative_to(folder).parts[0]
    return first.split(".")[0] == name.removeprefix(OWN_MODULE).split(".")[0]


@contextlib.contextmanager
def _told(file: Path, doing: str, fix: str = "") -> Iterator[None]:
    """What ends the user's code as one line: what it was doing, the exception, the code's own line."""
    try:
        yield
    except UnfinishedError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, InputError) and error.where:
            raise
        frames = traceback.walk_tb(error.__traceback__)
        places = [
            f"{frame.f_code.co_filename}:{line}"
            for frame, line in frames
            if _is_beside(file.parent, frame.f_globals.get("__name__", ""), frame.f_code.co_filename)
        ]
        if isinstance(error, InputError):
            what = error.what
        elif isinstance(error, SystemExit):
            what = f"it ends the program by sys.exit({error.code!r})"
        else:
            what = ": ".join(filter(None, [type(error).__name__, cut(error, 500) if str(error) else ""]))
        fix = (isinstance(error, InputError) and error.fix) or fix
        raise InputError(f"{doing}: {what}", where=[str(file), *places][-1], fix=fix) from error
