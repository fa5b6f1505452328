"""What `f2r eval` offers for models behind an API (docs/api.md)."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from f2rcli.adapters.registry import ModelRow, Settings
    from f2rcli.results.selection import Selection


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, in the order in which `--help` shows them."""
    for option in reversed(
        (
            click.option("--endpoint", metavar="URL", help="Where the API model is; may need no key."),
            click.option(
                "--image-placement",
                type=click.Choice(["in-place", "first"]),
                default="in-place",
                show_default=True,
                help="An API model's pictures; first: all before the text, another run and row.",
            ),
            click.option(
                "--concurrency",
                type=click.IntRange(min=1),
                default=8,
                show_default=True,
                help="Requests to an API at once.",
            ),
            click.option("--prices", type=click.Path(path_type=Path), help="API prices (TOML)."),
            click.option(
                "--max-cost",
                type=click.FloatRange(min=0, min_open=True),
                help="Stop before these runs have cost more, by --prices.",
            ),
            click.option("--dry-run", is_flag=True, help="Print one API request, and send nothing."),
        )
    ):
        command = option(command)
    return command


def prepare(rows: "list[ModelRow]", options: dict[str, Any]) -> "list[ModelRow]":
    """The rows, renamed where they are at the user's own address or their pictures come first;
    `options` gets the budget of the command."""
    from f2rcli.adapters.rules import API_KINDS

    behind = [row for row in rows if row.kind in API_KINDS]
    if options["endpoint"] is not None and len(behind) != 1:
        raise click.UsageError("--endpoint needs exactly one model that is behind an API")
    if options["dry_run"] and len(behind) != len(rows):
        raise click.UsageError("--dry-run is for models behind an API")
    options["budget"] = None
    if not behind:
        return rows
    from f2rcli.adapters.api.costs import Budget

    budget = options["budget"] = Budget.load(options["prices"], options["max_cost"])
    budget.check((row.name, row.settings["model"]) for row in behind)
    named = [_named(row, options) if row in behind else row for row in rows]
    for row, renamed in zip(rows, named, strict=True):
        budget.call(row.name, renamed.name)
    return named


def _named(row: "ModelRow", options: dict[str, Any]) -> "ModelRow":
    from f2rcli.adapters.api.model import ENDPOINTS

    endpoint = ENDPOINTS[row.kind](row.settings, options["endpoint"])
    if endpoint.own:
        row = row.at(endpoint.place)
    return row.images_first() if options["image_placement"] == "first" else row


def dry_run(rows: "list[ModelRow]", selections: "list[Selection]", settings: "Settings") -> None:
    """Print the first request of every task for every model, as it would be sent."""
    from f2rcli.adapters.api import APIModel
    from f2rcli.tasks.slicing import slice_request

    for row in rows:
        model = APIModel.of(row, settings)
        for selection in selections:
            first = selection.only_first().with_images().requests[0]
            request = slice_request(first, model.max_turns)[0].request
            parts = [slice_request(whole, model.max_turns) for whole in selection.requests]
            asked = [part.request for slices in parts for part in slices]
            body, size, images = model.shown(request, asked)
            click.echo(f"POST {model.endpoint.url}{model.endpoint.path}\n{body}")
            what = f"{size:,} bytes, {images} images: {request.id} of {selection.task.name}"
            click.echo(f"{what}, {len(selection.requests)} requests; nothing was sent")
