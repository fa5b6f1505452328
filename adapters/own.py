"""A class of the user's own as a retriever: `--model file.py:Class`."""

import importlib.util
import inspect
import sys
from pathlib import Path

from f2rcli.adapters.retriever import Retriever
from f2rcli.tasks.errors import InputError

OWN_MODULE = "f2r_model_"  # what the modules of users' own classes are called


def load_own(file: Path, name: str) -> Retriever:
    """An instance. Raises InputError for a file that cannot be imported, and a class that is none."""
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
