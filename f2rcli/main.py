"""The `f2r` command. Command modules import click only; everything heavy waits until it is used."""

import errno
import io
import os
import sys

import click

from f2rcli import (
    EXIT_UNANSWERED,
    __version__,
    baseline,
    calibrate,
    compare,
    data,
    evaluate,
    models,
    report,
    retrieve,
    score,
    show,
    table,
    train,
)

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="f2r")
def cli() -> None:
    """Evaluate and compare models on fine-grained fragment retrieval.

    Given a long chat with pictures and a query, a model finds the utterances and images that belong
    to the query. `f2r eval` scores models on tasks, `f2r retrieve` asks one about your own chat.

    \b
    Exit codes: 0 fine; 1 a gate says no; 2 wrong usage or unusable input;
    3 finished with requests unanswered; 130 interrupted (3 and 130: run it again to resume).
    """


for command in (
    evaluate.command,
    score.command,
    compare.command,
    baseline.command,
    table.command,
    report.command,
    show.command,
    retrieve.command,
    calibrate.command,
    models.models,
    models.tasks,
    data.group,
    train.group,
):
    cli.add_command(command)


def main() -> None:
    """Run a command; whatever a user can mend is one line on standard error and exit code 2."""
    from f2rcli.adapters.retriever import UnfinishedError
    from f2rcli.tasks.errors import InputError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what an old terminal cannot show is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except InputError as error:
        code = _complain(str(error))
    except UnfinishedError as ended:
        line = f"{ended}; the answers so far are kept, {ended.to_go_on}"
        code = _complain(line, EXIT_UNANSWERED)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        code = 2
    except click.UsageError as error:
        help_line = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        code = _complain(" ".join(error.format_message().split()) + help_line)
    except click.ClickException as error:
        code = _complain(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        code = _complain("interrupted; run the same command again to go on", INTERRUPTED)
    except BrokenPipeError:  # `f2r … | head` is no error; and do not complain at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if not error.filename and error.errno != errno.ENOSPC:
            raise  # not a file's; perhaps a model's, whose author wants to see where
        place = f"{error.filename}: " if error.filename else ""
        code = _complain(f"{place}{error.strerror}")
    sys.exit(code)


def _run() -> int:
    """(Not `cli.main`, which turns a reader that leaves early into exit code 1.)"""
    try:
        with cli.make_context("f2r", sys.argv[1:]) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    return code if isinstance(code, int) else 0


def _complain(line: str, code: int = 2) -> int:
    """Once, if several processes end alike."""
    from f2rcli.results.processes import has_last_word

    if has_last_word():
        print(f"f2r: {line}", file=sys.stderr)
    return code
