"""Answers to requests, ours and a plain loop's in turns, on one thread: `make bench`.

Ours is `VLM.retrieve` over all requests of a case. The plain loop is what a careful outsider writes with
transformers alone: one request after another, the checkpoint's processor called with its prompt and its
pictures, greedy `generate` with a cache. Both have the same checkpoint, prompts, picture files and limit
of new tokens; the loop is given its prompts as the chat template writes them. With --swift PYTHON, an
environment's with ms-swift, `swift infer --max_batch_size 1 --temperature 0` is the third.

The cases: f2rvlm-nano on whole dialogues of the mini sets; and f2rvlm-nano-sft made wide without another
function (wide.py), so that computing dominates, on dialogues of 4 pictures of 256 visual
tokens. No answer is forced: they are the models' own, and compared one by one. With --dtype bfloat16
that says how many flip.
"""

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of threads that somebody starts, too
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import PIL.Image
import torch
import wide
from sides import Case, Plain, Swift, difference, ours
from work import Side

from f2rcli.adapters.checkpoints import find_checkpoint
from f2rcli.adapters.registry import Settings, find_row, load_rows
from f2rcli.adapters.vlm.loading import load
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.images import open_image
from f2rcli.tasks.slicing import MAX_TURNS
from f2rcli.tasks.types import Dialogue, Request

LIMIT = 256  # new tokens: more than an answer needs that names everything
FEW = 3  # requests to warm up with, and to compare log-probabilities
ASKED = {"mini-mldr": 40, "mini-wechat": 20, "wide": 8}  # by case; dialogues are asked to their end


def whole_dialogues(name: str, number: int, *, of_four: bool = False) -> list[Request]:
    """The first requests of a set, at least so many, none of whose dialogues lacks a query. They are not
    sliced; those `of_four` have 12–25 turns and 4 pictures."""
    task = load_task(name)
    chosen: dict[str, list[Request]] = {}
    for request in task.requests():
        dialogue = request.dialogue
        turns, pictures = len(dialogue.utterances), len(dialogue.images)
        if turns > MAX_TURNS or (of_four and not (12 <= turns <= 25 and pictures == 4)):
            continue
        if dialogue.digest not in chosen and sum(map(len, chosen.values())) >= number:
            break
        chosen.setdefault(dialogue.digest, []).append(task.with_images(request))
    return [request for queries in chosen.values() for request in queries]


def enlarged(request: Request, folder: Path) -> Request:
    """With pictures that are already as large as the wide checkpoint wants them."""
    dialogue, images = request.dialogue, []
    for image in dialogue.images:
        file = folder / image.path
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            side = (wide.PICTURE, wide.PICTURE)
            open_image(str(image.file)).resize(side, PIL.Image.Resampling.BICUBIC).save(file)
        images.append(replace(image, file=str(file)))
    return replace(request, dialogue=Dialogue(dialogue.id, dialogue.utterances, tuple(images)))


def find_case(name: str, settings: Settings, number: int, folder: Path) -> Case:
    row = find_row("f2rvlm-nano", load_rows()).settings
    if name != "wide":
        return Case(row, settings, whole_dialogues(name, number))
    nano = find_checkpoint(row["checkpoint"])
    made = wide.save_wide(load(nano, None, "float32", "cpu").base, nano, folder / "wide")
    asked = whole_dialogues("mini-mldr", number, of_four=True)
    return Case(
        {"checkpoint": str(made)}, settings, [enlarged(one, folder / "pictures") for one in asked]
    )


def table(sides: list[Side]) -> Iterator[str]:
    names, figures = [side.name for side in sides], [side.figures() for side in sides]
    yield "| of 100 requests | " + " | ".join([*names, *(f"{n} : ours" for n in names[1:])]) + " |"
    yield "| --- |" + " ---: |" * (2 * len(sides) - 1)
    for name, mine in figures[0].items():
        values = [each[name] for each in figures]
        shown = [f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}" for value in values]
        ratios = ["" if "%" in name or not mine else f"{value / mine:.2f} ×" for value in values[1:]]
        yield f"| {name} | " + " | ".join([*shown, *ratios]) + " |"


def compared(case: Case, mine: Side, others: list[Side]) -> Iterator[str]:
    """How many answers are the same, and both of each that is not."""
    for side in others:
        pairs = list(zip(case.requests, mine.answers, side.answers, strict=True))
        apart = [each for each in pairs if each[1] != each[2]]
        yield f"{mine.name} and {side.name}: {len(pairs) - len(apart)} of {len(pairs)} answers are equal"
        for request, own, other in apart:
            yield f"    {request.id}\n        {mine.name}: {own}\n        {side.name}: {other}"


def described(case: Case) -> str:
    dialogues = {request.dialogue.digest: request.dialogue for request in case.requests}.values()
    spans = []
    for counts in ([len(one.utterances) for one in dialogues], [len(one.images) for one in dialogues]):
        low, high = min(counts), max(counts)
        spans.append(f"{low}–{high}" if low < high else str(low))
    asked = f"{len(case.requests)} requests about {len(dialogues)} dialogues"
    return f"{asked} of {spans[0]} turns and {spans[1]} pictures"


def measure(name: str, case: Case, options: argparse.Namespace, folder: Path) -> None:
    print(f"\n### {name}\n\n{described(case)}\n", flush=True)
    plain = Plain(case)
    sides = [ours(case), plain.side()]
    swift = Swift(case, options.swift, folder) if options.swift else None
    sides += [swift] if swift else []
    numbers = range(len(case.requests))
    for side in sides:
        side.warm_up(numbers[:FEW])
    for _ in range(options.rounds):
        for side in sides:
            side.take(numbers)
    if swift:
        swift.close()
    print("\n".join(table(sides)), end="\n\n")
    print("\n".join(compared(case, sides[0], sides[1:])))
    each = zip(*(side.cpu for side in sides), strict=True)
    rounds = ", ".join(" / ".join(f"{seconds:.1f}" for seconds in one) for one in each)
    print(f"CPU, round by round: {rounds} s")
    for side in sides:
        if any(counted != side.counted[0] for counted in side.counted):
            print(f"{side.name} did not do the same in every round")
    if name == "wide":
        tokens, largest = difference(replace(case, requests=case.requests[:FEW]), plain)
        print(
            f"log-probabilities of {tokens} answer tokens of {FEW} requests: {largest:.1e} apart at most"
        )


def versions(swift: str | None) -> str:
    found = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "peft")]
    if swift:
        names = ("ms_swift", "torch", "transformers")
        code = f"from importlib.metadata import version; print(*map(version, {names}))"
        told = subprocess.run([swift, "-c", code], capture_output=True, text=True, check=True)
        found.append("ms-swift {} with torch {}, transformers {}".format(*told.stdout.split()))
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers to requests, ours and a plain loop's.")
    parser.add_argument("--case", nargs="+", choices=ASKED, default=list(ASKED))
    parser.add_argument("--requests", type=int, help="at least so many in each case")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=8, help="ours")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--swift", metavar="PYTHON", help="of an environment with ms-swift")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.platform()}, Python {platform.python_version()}, {versions(options.swift)}")
    print(
        f"one thread, {options.dtype}, ours in batches of {options.batch_size}, rounds: {options.rounds}"
    )
    settings = Settings(dtype=options.dtype, batch_size=options.batch_size, max_new_tokens=LIMIT)
    for name in options.case:
        with tempfile.TemporaryDirectory() as made:
            number = options.requests or ASKED[name]
            measure(name, find_case(name, settings, number, Path(made)), options, Path(made))
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
