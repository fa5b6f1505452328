"""Starting the command: help without weight, pipes, exit codes of a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import f2rcli
from f2rcli.main import cli
from f2rcli.progress import Reporter

HEAVY = ("torch", "transformers", "numpy", "datasets", "PIL", "rich")
HELP = f"""
import json, sys
from f2rcli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(set(sys.modules) & set({HEAVY!r}))), file=sys.stderr)
"""
Run = Callable[..., Any]


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and group below this one."""
    yield path
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*path, name))


COMMANDS = list(commands(cli))


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(("f2r", *words)))
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", HELP, *words, "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Usage: ")
    assert json.loads(ended.stderr) == []


def test_the_command_line_itself_loads_nothing_heavy() -> None:
    """Nor does bad input that is found before any work."""
    command = [sys.executable, "-c", HELP, "eval", "--limit", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert json.loads(ended.stderr.splitlines()[-1]) == []


def test_scoring_a_file_loads_nothing_but_what_prints_the_table(golden: Path) -> None:
    file = golden / "metrics/predictions_0.jsonl"
    command = [sys.executable, "-c", HELP, "score", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stderr.splitlines()[-1]) == ["rich"]


def test_every_command_says_what_it_does() -> None:
    for words in COMMANDS:
        command: click.Command = cli
        for word in words:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        assert command.help, words


def test_the_version(f2r: Run) -> None:
    assert f2rcli.__version__ in f2r("--version").out


def test_h_is_help(f2r: Run) -> None:
    assert f2r("eval", "-h").out == f2r("eval", "--help").out


@pytest.mark.parametrize("args", [(), ("data",)])
def test_no_command_is_help_or_a_short_complaint(f2r: Run, args: tuple[str, ...]) -> None:
    ended = f2r(*args)
    assert max(map(len, (ended.out + ended.err).splitlines())) <= 200


def test_it_runs_as_a_module_and_as_a_command() -> None:
    module = [sys.executable, "-m", "f2rcli"]
    command = [str(Path(sys.executable).with_name("f2r"))]
    ended = [
        subprocess.run([*how, "models"], capture_output=True, text=True, check=False)
        for how in (module, command)
    ]
    assert [e.returncode for e in ended] == [0, 0]
    assert ended[0].stdout == ended[1].stdout
    assert "bm25" in ended[0].stdout


def test_a_process_of_its_own_ends_with_code_2_and_one_line() -> None:
    command = [sys.executable, "-m", "f2rcli", "score", "没有.jsonl"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("f2r: 没有.jsonl: ")


@pytest.mark.parametrize("args", [("models",), ("score", "FILE", "--json", "-"), ("--help",)])
def test_a_reader_that_leaves_early_is_no_failure(args: tuple[str, ...], golden: Path) -> None:
    """`f2r … | head`; 1 would mean that a gate says no."""
    words = [str(golden / "metrics/predictions_0.jsonl") if arg == "FILE" else arg for arg in args]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "f2rcli", *words], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_an_output_that_cannot_show_chinese_is_no_traceback(example: Path) -> None:
    """As with a redirected output on Windows."""
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "f2rcli",
            "retrieve",
            "-m",
            "bm25",
            str(example),
            "面馆",
            "--id",
            "周末聊天",
        ],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert b"Traceback" not in ended.stderr


def test_progress_in_a_log_is_a_last_line_and_few_between(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(quiet=False).run("bm25 on 聊天") as progress:
        for done in range(1001):
            progress(done, 1000)
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("bm25 on 聊天: 1000/1000, ")
    assert line.endswith("/s")


def test_progress_in_a_slow_log_tells_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with Reporter(quiet=False).run("聊天") as progress:
        for done in range(40, 100):
            progress(done, 100)
    said = capsys.readouterr().err.splitlines()
    assert 5 < len(said) < 60
    assert all(line.startswith("聊天: ") and "ETA" in line for line in said)
    assert "inf" not in " ".join(said)


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(quiet=True).note("loading")
    with Reporter(quiet=True).run("聊天") as progress:
        progress(1, 1)
    assert capsys.readouterr() == ("", "")


def test_notes_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(quiet=False).note("模型: loading")
    assert capsys.readouterr() == ("", "模型: loading\n")
