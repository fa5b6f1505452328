"""The YAML files that lm-evaluation-harness reads, as far as they can be checked without it."""

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from f2rcli.tasks import lm_eval
from f2rcli.tasks.datasets import task_rows

FOLDER = Path(lm_eval.__file__).parent
NAMES = ["f2r_mini_mldr", "f2r_mini_wechat", "f2r_mldr", "f2r_wechat"]


class Loader(yaml.SafeLoader):
    """`!function a.b` as the text `a.b`."""


Loader.add_constructor("!function", lambda loader, node: node.value)


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader))


def test_there_is_a_file_for_each_task() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_file_asks_the_task_of_its_name_and_says_what_it_is(name: str) -> None:
    found = read(FOLDER / f"{name}.yaml")
    row = task_rows()[found["dataset_kwargs"]["task"]]
    assert found["task"] == name
    assert row.name == name.removeprefix("f2r_").replace("_", "-")
    synthetic = "synthetic, " if row.domain.startswith("synthetic") else ""
    assert found["task_alias"] == f"{name} ({synthetic}{row.protocol} protocol)"
    assert (FOLDER / found["include"]).is_file()


def test_the_class_is_there() -> None:
    """(It cannot be imported without lm-eval.)"""
    module, _, name = read(FOLDER / "_fragments_yaml")["class"].rpartition(".")
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    assert name in [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def test_answers_are_greedy_and_end_with_the_end_token_alone() -> None:
    found = read(FOLDER / "_fragments_yaml")["generation_kwargs"]
    assert found == {"do_sample": False, "max_gen_toks": 1024, "until": []}
