"""f2r compare"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from f2rcli import EXIT_GATE

if TYPE_CHECKING:
    from f2rcli.tasks.scoring import Protocol


@click.command("compare")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("new", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Choice(["published", "strict"]),
    help="Default: the runs' task's own; published for bare prediction files.",
)
@click.option("--gate", is_flag=True, help="Exit with 1 if NEW may be worse, or fails more often.")
@click.option(
    "--max-drop",
    "max_drops",
    multiple=True,
    metavar="METRIC=POINTS",
    help="What --gate lets a metric drop by; may be given several times. Default: joint.f1=1.0.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    help="How --gate prints: text, or Markdown for a job summary.",
)
@click.option("--force", is_flag=True, help="Compare what both share where data or protocol differ.")
@click.option(
    "--flips",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="How many answers that became exact, or no longer are, to list.",
)
@click.option("--resamples", type=click.IntRange(min=199), default=10_000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--json", "json_to", metavar="FILE", help="Write everything as JSON; - is standard output."
)
def command(
    base: Path,
    new: tuple[Path, ...],
    protocol: "Protocol | None",
    gate: bool,
    max_drops: tuple[str, ...],
    form: str | None,
    force: bool,
    flips: int,
    resamples: int,
    seed: int,
    json_to: str | None,
) -> int:
    """Compare NEW with BASE on the same requests: differences with 95 % intervals.

    Each is a run folder, a prediction file (ours or the authors' format) or a baseline
    (`f2r baseline`). Requests are matched by content; dialogues are resampled.
    """
    from f2rcli.results.compare import compare, corrected
    from f2rcli.results.gate import DEFAULT, judge, parse_margins
    from f2rcli.results.render import console
    from f2rcli.results.render_comparison import as_json, gate_markdown, gate_text, print_comparison
    from f2rcli.results.sides import read_side
    from f2rcli.results.writing import write_json

    if not gate and (max_drops or form):
        raise click.UsageError(f"{'--max-drop' if max_drops else '--format'} is for --gate")
    if json_to and Path(json_to).resolve() in [path.resolve() for path in (base, *new)]:
        raise click.UsageError("--json is a file that is to be compared")
    margins = parse_margins(max_drops) or DEFAULT
    before = read_side(base)
    found = [
        compare(before, read_side(path), protocol=protocol, force=force, resamples=resamples, seed=seed)
        for path in new
    ]
    if len(found) > 1:
        found = corrected(found)
    gates = [judge(comparison, margins) for comparison in found] if gate else []
    if json_to == "-":
        click.echo(json.dumps(as_json(found, gates), ensure_ascii=False, indent=2))
    else:
        if json_to:
            write_json(Path(json_to), as_json(found, gates))
        for judged in gates:
            click.echo(gate_markdown(judged) if form == "github" else gate_text(judged))
        for number, comparison in enumerate(() if gate else found):
            if number:
                click.echo()
            print_comparison(comparison, flips, console())
    return 0 if all(judged.passed for judged in gates) else EXIT_GATE
