"""What may be typed as more than click's own types."""

from typing import Any

import click

LISTS = ("--model", "-m", "--task", "-t")


class ListCommand(click.Command):
    """Lets `--model a b c` stand for `--model a --model b --model c`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        option = ""
        for position, arg in enumerate(args):
            if arg.startswith("-"):
                name = arg.partition("=")[0]
                option = name if name in LISTS else ""
            elif option and args[position - 1] != option:
                spread.append(option)
            spread.append(arg)
        return super().parse_args(ctx, spread)


class BatchSize(click.ParamType[int | None]):
    """A number of requests, or `auto`, which is None."""

    name = "auto|N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value == "auto":
            return None
        return click.IntRange(min=1).convert(value, param, ctx)
