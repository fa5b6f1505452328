"""The last line of `f2r eval` where requests failed with an error."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from f2rcli.results.runs import RunFolder


def tell(runs: "list[RunFolder]") -> bool:
    """How many requests there are, one of them, and whether asking again may help; False for none."""
    from f2rcli.results.tables import read_scores
    from f2rcli.tasks.visible import visible

    if not (number := sum(read_scores(run)["strict"]["failures"]["error"] for run in runs)):
        return False
    failed = [attempt for run in runs for attempt in run.attempts().values() if attempt.failed]
    failed.sort(key=lambda attempt: bool(attempt.details.get("lasting")))
    why = failed[0].failure.message if failed[0].failure else ""
    again = "the same command asks again"
    if failed[0].details.get("lasting"):
        again = "asked again as it is, it will fail again"
    elif failed[-1].details.get("lasting"):
        again += ", and some will fail again as they are"
    example = f"{failed[0].request}: {visible(' '.join(why.split()))}"
    click.echo(f"f2r: {number} unanswered, such as {example}; {again}", err=True)
    return True
