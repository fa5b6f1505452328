"""f2r data …"""

import json
from pathlib import Path

import click

PATH = click.Path(path_type=Path)
DATA_ROOT = click.option("--data-root", type=PATH, help="Where data lies (or F2R_DATA).")
OUT = click.option("-o", "--out", required=True, type=PATH, help="The file to write.")


@click.group("data")
def group() -> None:
    """Check, describe, slice and merge data files; make the mini sets."""


@group.command()
@click.argument("task", metavar="PATH")
@DATA_ROOT
@click.option("--allow-outside-images", is_flag=True, help="Let image paths leave the data's folder.")
def check(task: str, data_root: Path | None, allow_outside_images: bool) -> int:
    """List every problem of a file (or task): format, tags, ids, duplicates, images.

    Exit code 2 if a record cannot be evaluated as it is; warnings alone are 0.
    """
    from f2rcli.tasks.check import Checker
    from f2rcli.tasks.datasets import load_task
    from f2rcli.tasks.visible import visible

    loaded = load_task(task, data_root, allow_outside=allow_outside_images)
    checker = Checker(loaded.path, loaded.images)
    fatal = warnings = 0
    for finding in checker.findings():
        click.echo(visible(str(finding)))
        fatal, warnings = fatal + finding.fatal, warnings + (not finding.fatal)
    click.echo(
        f"{loaded.path}: {checker.records} records, {checker.requests} requests, "
        f"{fatal} problems, {warnings} warnings"
    )
    return 2 if fatal else 0


@group.command()
@click.argument("task", metavar="PATH")
@DATA_ROOT
def stats(task: str, data_root: Path | None) -> None:
    """Turns, images, query and gold sizes, how scattered fragments are, and shares of the requests."""
    from f2rcli.results.render import console, print_rows
    from f2rcli.tasks.datasets import load_task
    from f2rcli.tasks.stats import collect

    loaded = load_task(task, data_root)
    found = collect(loaded.requests())
    print_rows(["a request", "mean", "min", "median", "max"], found.rows(), console())
    kind = ", synthetic" if found.synthetic else ""
    click.echo(
        f"{loaded.title}: {found.requests} requests over {len(found.dialogues)} dialogues{kind}; "
        "of the requests"
    )
    for line in found.shares():
        click.echo(line)


@group.command()
@click.argument("names", nargs=-1, metavar="[SET]…")
@click.option("--seed", type=int, help="Of a fresh sibling set, which nobody has tuned anything to.")
@click.option("-o", "--out", type=PATH, help="The folder for a sibling set.")
def mini(names: tuple[str, ...], seed: int | None, out: Path | None) -> None:
    """Make the synthetic mini sets (they are also made on first use).

    SET is mini-mldr, mini-wechat (these two by default), or for training mini-mldr-train (SFT) or
    mini-mldr-grpo. With --seed and --out, a set with the same properties and other dialogues.
    """
    from f2rcli.tasks.datasets import GROUPS, task_rows
    from f2rcli.tasks.mini.cache import make, must_be_new, ready

    known = [name for name, row in task_rows().items() if row.made]
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"no mini set {unknown[0]!r}; there are {', '.join(known)}")
    if (seed is None) != (out is None):
        raise click.UsageError("--seed and --out belong together")
    wanted = dict.fromkeys(names or GROUPS["mini"])
    if out:  # before any is made
        for name in wanted:
            must_be_new(out / name)
    for name in wanted:
        if seed is None or out is None:
            click.echo(f"{name} (synthetic): {ready(name)}")
            continue
        digest = make(name, seed, out / name)
        click.echo(f"{name} (synthetic), seed {seed}, digest {digest[:12]}: {out / name}/{name}.jsonl")


@group.command("slice")
@click.argument("task", metavar="PATH")
@OUT
@DATA_ROOT
@click.option("--turns", type=click.IntRange(min=1), default=100, show_default=True, help="At most.")
def slice_(task: str, out: Path, data_root: Path | None, turns: int) -> None:
    """Cut dialogues of more than --turns turns into slices, as official records (JSON Lines)."""
    from f2rcli.results.writing import replacing
    from f2rcli.tasks.datasets import load_task
    from f2rcli.tasks.records import record_of
    from f2rcli.tasks.slicing import slice_request

    requests = written = 0
    loaded = load_task(task, data_root)
    _keep(out, loaded.path)
    with replacing(out) as file:
        for request in loaded.requests():
            requests += 1
            for part in slice_request(request, turns):
                file.write(json.dumps(record_of(part.request), ensure_ascii=False) + "\n")
                written += 1
    click.echo(f"{out}: {written} records from {requests} requests")


@group.command()
@click.argument("slices", type=PATH)
@click.argument("original")
@OUT
@DATA_ROOT
def merge(slices: Path, original: str, out: Path, data_root: Path | None) -> None:
    """Merge the predictions for SLICES into predictions for the ORIGINAL records."""
    from f2rcli.results.writing import replacing
    from f2rcli.tasks.datasets import load_task
    from f2rcli.tasks.merging import merge_predictions

    written = 0
    loaded = load_task(original, data_root)
    _keep(out, loaded.path, slices)
    with replacing(out) as file:
        for line in merge_predictions(slices, loaded):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            written += 1
    click.echo(f"{out}: {written} predictions")


def _keep(out: Path, *read: Path) -> None:
    """Raises a usage error if the output would replace what it is made from."""
    if out.resolve() in [path.resolve() for path in read]:
        raise click.UsageError("--out is the file itself")
