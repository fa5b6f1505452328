"""What each step of training is worth at nano scale: `python nano_grpo.py FOLDER [--jobs N]`.

From f2rvlm-nano-sft: as much compute of more SFT and GRPO, three seeds each, and GRPO without one of its
parts. All of them answer both mini sets, and two siblings of mini-wechat that no setting was chosen by.
Whatever is done in FOLDER is not done again, and what was interrupted goes on: the commands are those of
`f2r`, which the output names.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.results.bootstrap import differences
from f2rcli.results.sides import read_side

SEEDS = (0, 1, 2)
MORE_STEPS = 130  # of SFT: about as many seconds of a processor as an epoch of GRPO
START = "f2rvlm-nano-sft"
SIBLINGS = (8630, 9873)


def variants() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, recipe that it begins with, and changes by dotted keys (None leaves a key out)."""
    for seed in SEEDS:
        yield f"grpo-{seed}", "nano-grpo", {"seed": seed}
        more = {
            "base": START,
            "seed": seed + 1,
            "loop.steps": MORE_STEPS,
            "validation.every": MORE_STEPS,
        }
        yield f"more-sft-{seed}", "nano-sft", more
    yield "grpo-without-f1", "nano-grpo", {"rewards.f1": None}
    yield "grpo-without-order", "nano-grpo", {"rewards.order_similarity": None}
    yield "grpo-without-curriculum", "nano-grpo", {"curriculum": None, "loop.epochs": None}


def recipe(folder: Path, name: str, shipped: str, changes: dict[str, Any]) -> Path:
    """A recipe file with the changes."""
    text = resources.files("f2rcli.training").joinpath(f"recipes/{shipped}.toml").read_text("utf-8")
    table = tomllib.loads(text)
    if shipped == "nano-grpo":
        curriculum = folder / "curriculum" / "curriculum.jsonl"
        changes = {"curriculum": str(curriculum), **changes}
        if changes["curriculum"] is None:  # as many steps as the others
            samples = sum(1 for _ in curriculum.open(encoding="utf-8")) - 1
            changes["loop.steps"] = -(-samples // table["loop"]["prompts"])
    for key, value in changes.items():
        *above, last = key.split(".")
        place = table
        for part in above:
            place = place[part]
        place[last] = value
        if value is None:
            del place[last]
    file = folder / "recipes" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{key} = {written(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for part, values in table.items():
        if isinstance(values, dict):
            lines += [f"[{part}]", *(f"{key} = {written(value)}" for key, value in values.items())]
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file


def written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def f2r(*words: object) -> None:
    command = [sys.executable, "-m", "f2rcli", *map(str, words)]
    print("f2r", *words[:], flush=True)
    if code := subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        sys.exit(code)


def train(folder: Path, name: str, shipped: str, changes: dict[str, Any]) -> None:
    file = recipe(folder, name, shipped, changes)
    stage = shipped.removeprefix("nano-")
    f2r("train", stage, "--config", file, "--out", folder / "trained" / name, "--device", "cpu")
    checkpoint = folder / "trained" / name / "checkpoint"
    own = {"checkpoint": "package:" + START, "adapter": str(checkpoint)}
    settings = own if stage == "grpo" else {"checkpoint": str(checkpoint)}
    row = {"kind": "transformers", "trained": stage.upper(), "about": name, **settings}
    registry = folder / "recipes" / f"{name}-row.toml"
    registry.write_text("\n".join([f"[{name}]", *(f"{k} = {v!r}" for k, v in row.items()), ""]), "utf-8")
    evaluate(folder, name, "--registry", registry)


def evaluate(folder: Path, *model: object) -> None:
    asked = ("--model", *model, "--batch-size", 8, "--device", "cpu", "--quiet")
    f2r("eval", *asked, "--task", "mini", "--out", folder / "runs")
    for seed in SIBLINGS:
        data = folder / f"sibling-{seed}/mini-wechat/mini-wechat.jsonl"
        f2r("eval", *asked, "--task", data, "--encoder", "none", "--out", folder / f"runs-{seed}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what each step of training is worth.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, of one thread each")
    options = parser.parse_args()
    folder: Path = options.folder
    os.environ["OMP_NUM_THREADS"] = "1"  # the same sums whatever runs beside it
    f2r("train", "curriculum", "--config", "nano-curriculum", "--out", folder / "curriculum")
    for seed in SIBLINGS:
        if not (folder / f"sibling-{seed}/mini-wechat").exists():
            f2r("data", "mini", "mini-wechat", "--seed", seed, "--out", folder / f"sibling-{seed}")
    evaluate(folder, "f2rvlm-nano-base", START)
    with ThreadPoolExecutor(options.jobs) as pool:
        for done in [pool.submit(train, folder, *variant) for variant in variants()]:
            done.result()
    folds = ("--fold", "grpo=grpo-[0-9]", "--fold", "more-sft=more-sft-[0-9]")
    f2r("table", folder / "runs", *folds, "--against", START, "--format", "markdown")
    siblings = [folder / f"runs-{seed}/mini-wechat" for seed in SIBLINGS]
    for task, runs in (
        ("mini-mldr", [folder / "runs/mini-mldr"]),
        ("mini-wechat", [folder / "runs/mini-wechat"]),
        ("siblings of mini-wechat", siblings),
    ):
        for base, new in (
            (f"{START}-*", "grpo-[0-9]-*"),
            (f"{START}-*", "more-sft-*"),
            ("more-sft-*", "grpo-[0-9]-*"),
        ):
            found = differences(summed(runs, base), summed(runs, new), "strict")["joint.f1"]
            print(
                f"{task}, joint F1, {new} - {base}: {100 * found.value:+.2f} "
                f"[{100 * found.low:+.2f}, {100 * found.high:+.2f}], p {found.p:.4f}"
            )


def summed(folders: list[Path], pattern: str) -> Any:
    """Dialogues × 8 counts over all runs of that name: seeds are summed up, dialogues are resampled."""
    sums: dict[str, Any] = {}
    for run in (run for runs in folders for run in sorted(runs.glob(pattern))):
        for sample in read_side(run).samples:
            counts = np.array(sample.outcomes["strict"].counts)
            sums[sample.dialogue] = sums.get(sample.dialogue, 0) + counts
    return np.array([sums[dialogue] for dialogue in sorted(sums)])


if __name__ == "__main__":
    main()
