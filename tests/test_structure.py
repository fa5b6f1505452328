"""Guards of the layout: what is installed, who imports whom, what files are called."""

import ast
import configparser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from f2rcli.main import cli

ROOT = Path(__file__).resolve().parent.parent
ORDER = ("tasks", "adapters", "results", "training", "f2rcli")  # each may import those before it
NAMES = {"utils", "util", "common", "commons", "helpers", "helper"}
MAX_LINES = 250

if not (ROOT / "setup.cfg").is_file():
    pytest.skip("only in a checkout", allow_module_level=True)


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if "__pycache__" not in path.parts)


@pytest.fixture
def setup() -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg", encoding="utf-8")
    return read


def packages(setup: configparser.ConfigParser) -> dict[str, Path]:
    """Every package that is installed, and its folder."""
    where = dict(line.split(" = ") for line in setup["options"]["package_dir"].split("\n") if line)
    found = {}
    for name in setup["options"]["packages"].split():
        parts = name.split(".")
        for i in range(len(parts), 0, -1):
            if folder := where.get(".".join(parts[:i])):
                found[name] = ROOT.joinpath(folder, *parts[i:])
                break
        else:
            found[name] = ROOT.joinpath(*parts)
    return found


def test_every_folder_of_code_is_an_installed_package(setup: configparser.ConfigParser) -> None:
    """One that is not listed works in an editable install and lacks in the wheel."""
    with_code = {path.parent for path in sources(*ORDER)}
    assert {folder for folder in with_code if not (folder / "__init__.py").is_file()} == set()
    assert set(packages(setup).values()) == with_code


def test_every_file_that_is_no_code_is_package_data(setup: configparser.ConfigParser) -> None:
    listed: set[Path] = set()
    folders = packages(setup)
    for name, patterns in setup["options.package_data"].items():
        for pattern in patterns.replace(",", " ").split():
            listed.update(folders[name].glob(pattern))
    files = {path for folder in ORDER for path in (ROOT / folder).rglob("*") if path.is_file()}
    data = {path for path in files if path.suffix not in (".py", ".pyc")}
    assert {str(path.relative_to(ROOT)) for path in data - listed} == set()


def test_importing_f2rcli_takes_no_general_name() -> None:
    """Top-level packages `adapters`, `tasks`, … belong to others."""
    code = (
        "import sys, f2rcli, f2rcli.main, f2rcli.tasks.scoring, f2rcli.adapters.registry\n"
        "import f2rcli.results.evaluate, f2rcli.training\n"
        f"print(sorted(set(sys.modules) & set({ORDER[:-1]!r})))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("[]\n", 0), ended.stderr


def imported(source: str, package: str) -> Iterator[str]:
    """Full names of everything imported anywhere in a module of `package`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def against_the_order(source: str, package: str) -> list[str]:
    """Imports that `package` may not make: of a folder that comes later, or under a bare name."""
    home = [*package.split("."), "f2rcli"][1]
    allowed = ORDER[: ORDER.index(home) + 1]
    wrong = []
    for name in imported(source, package):
        first, *rest = name.split(".")
        if first in ORDER[:-1]:
            wrong.append(name)
        elif first == "f2rcli" and rest and not rest[0].startswith("__"):
            folder = rest[0] if rest[0] in ORDER else "f2rcli"
            if folder not in allowed:
                wrong.append(name)
    return wrong


def test_imports_point_one_way(setup: configparser.ConfigParser) -> None:
    wrong = {}
    for package, folder in packages(setup).items():
        for path in folder.glob("*.py"):
            if found := against_the_order(path.read_text(encoding="utf-8"), package):
                wrong[str(path.relative_to(ROOT))] = found
    assert wrong == {}


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import f2rcli.adapters.registry", "f2rcli.tasks"),
        ("from f2rcli import results", "f2rcli.adapters"),
        ("def late():\n    from f2rcli.results.runs import RunFolder", "f2rcli.adapters.vlm"),
        ("if TYPE_CHECKING:\n    from f2rcli.training import sft", "f2rcli.results"),
        ("from f2rcli.progress import Reporter", "f2rcli.training"),
        ("from ..results import runs", "f2rcli.tasks"),
        ("import tasks", "f2rcli"),
        ("from adapters import retriever", "f2rcli.results"),
    ],
)
def test_the_guard_sees_imports_against_the_order(source: str, package: str) -> None:
    assert len(against_the_order(source, package)) == 1


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("from f2rcli.tasks import tags", "f2rcli.adapters"),
        ("from f2rcli import __version__, calibrate", "f2rcli"),
        ("import f2rcli", "f2rcli.results"),
        ("from . import tags\nfrom .types import Image", "f2rcli.tasks"),
        ("import json, adapters_of_others", "f2rcli.tasks"),
    ],
)
def test_the_guard_lets_the_others_pass(source: str, package: str) -> None:
    assert against_the_order(source, package) == []


def test_no_file_is_a_drawer_for_everything() -> None:
    paths = [path for folder in (*ORDER, "tests", "docs") for path in (ROOT / folder).rglob("*")]
    assert [str(path.relative_to(ROOT)) for path in paths if path.stem.lower() in NAMES] == []


def test_no_source_file_is_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in sources(*ORDER, "tests", "docs")
    }
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def commands(command: click.Command, words: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, f"{words} {name}")
    else:
        yield words


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if not text.strip():
        pytest.skip("README.md is not written yet")
    assert [words for words in commands(cli, "f2r") if words not in text] == []
