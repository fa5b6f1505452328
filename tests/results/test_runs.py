"""Run folders: places, locks, and answers that survive a crash."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from f2rcli.results.runs import RunFolder, slug
from f2rcli.results.writing import replacing
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure, Retrieval

TEXTS = st.text(max_size=30) | st.just("\ud800 half a character")
FAILURES = st.builds(Failure, st.sampled_from(["error", "refused", "truncated"]), TEXTS)
RETRIEVALS = st.builds(
    Retrieval,
    st.sampled_from(["露营:0", "露营:1", "a b:0_split_1"]),
    st.none() | TEXTS,
    st.none() | FAILURES,
    st.none() | st.integers(0, 9999),
    details=st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2),
)


def append(run: RunFolder, *attempts: Retrieval) -> None:
    run.path.mkdir(parents=True, exist_ok=True)
    with run.appending() as answers:
        for attempt in attempts:
            answers.append(attempt)


def test_a_run_has_its_place_by_task_model_and_identity(tmp_path: Path) -> None:
    def place(**identity: Any) -> Path:
        return RunFolder.place(tmp_path, "我的 任务", "hf:组织/模型", identity).path

    assert place(seed=0) == place(seed=0)
    assert place(seed=0) != place(seed=1)
    assert place(seed=0).parent == tmp_path / "我的-任务"
    assert place(seed=0).name.startswith("hf-组织-模型-")


@given(st.text())
def test_any_name_is_one_folder_below(name: str) -> None:
    folder = slug(name)
    assert Path("out", folder).parent == Path("out")
    assert folder not in ("", ".", "..")
    assert not set(folder) & set('/\\:*?"<>| \0\n')
    assert not folder.startswith(("-", "."))


@settings(max_examples=30, deadline=None)
@given(st.lists(RETRIEVALS, max_size=6))
def test_attempts_come_back_as_written_and_the_last_one_counts(attempts: list[Retrieval]) -> None:
    with TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        append(run, *attempts)
        assert run.attempts() == {attempt.request: attempt for attempt in attempts}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_wherever_the_file_is_torn_the_whole_lines_before_it_are_kept(data: st.DataObject) -> None:
    attempts = [Retrieval(f"露营:{i}", text="好的\n，找到了") for i in range(3)]
    with TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        append(run, *attempts)
        file = run.path / "answers.jsonl"
        content = file.read_bytes()
        kept = content[: data.draw(st.integers(0, len(content)))]
        file.write_bytes(kept)
        whole = attempts[: kept.count(b"\n")]
        assert list(run.attempts().values()) == whole
        run.repair()
        append(run, Retrieval("露营:9", text="新"))
        assert list(run.attempts().values()) == [*whole, Retrieval("露营:9", text="新")]


def test_repairing_a_whole_file_or_none_changes_nothing(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.repair()
    assert not (tmp_path / "answers.jsonl").exists()
    assert run.attempts() == {}
    append(run, Retrieval("露营:0", text="好"))
    before = (tmp_path / "answers.jsonl").read_bytes()
    run.repair()
    assert (tmp_path / "answers.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        b'{"request": "x", "te',
        b"\xff\xfe not UTF-8",
        b"\0\0\0\0",
        b"{}",
        b"[]",
        b'{"request": "x", "at": "2026", "failure": null, "colour": "red"}',
        b'{"request": "x", "at": "2026", "failure": "error"}',
        b"12",
    ],
)
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, damage: bytes) -> None:
    run = RunFolder(tmp_path)
    append(run, *(Retrieval(f"露营:{i}", text="好") for i in range(3)))
    whole = (tmp_path / "answers.jsonl").read_bytes().splitlines()
    whole[1] = damage
    (tmp_path / "answers.jsonl").write_bytes(b"\n".join(whole) + b"\n")
    with pytest.raises(InputError) as caught:
        run.attempts()
    assert str(caught.value).startswith(f"{tmp_path / 'answers.jsonl'}:2: ")


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "一次 运行")
    hold = (
        "import sys, pathlib\n"
        "from f2rcli.results.runs import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).locked():\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold, str(run.path)], text=True, **pipes) as other:
        assert other.stdout
        assert other.stdout.readline() == "locked\n"
        with (
            pytest.raises(InputError, match="another process is writing this run") as caught,
            run.locked(),
        ):
            pytest.fail("two processes hold the lock")
        assert str(run.path) in str(caught.value)
        other.communicate()
    with run.locked():
        pass  # free again


def test_a_lock_of_a_process_that_was_killed_does_not_hold(tmp_path: Path) -> None:
    hold = (
        "import os, pathlib, signal, sys\n"
        "from f2rcli.results.runs import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).locked():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", hold, str(tmp_path)], check=False)
    assert killed.returncode == -9
    with RunFolder(tmp_path).locked():
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "文件").write_text("a file, not a folder")
    run = RunFolder(tmp_path / "文件" / "run")
    with pytest.raises(InputError, match="cannot be written") as caught, run.locked():
        pytest.fail("locked in a file")
    assert "choose a folder" in str(caught.value)


def read(run: RunFolder) -> dict[str, Any]:
    return dict(json.loads((run.path / "run.json").read_text(encoding="utf-8")))


def test_run_json_tells_every_session(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    description = {"identity": {"seed": 0}, "task": {"name": "聊天"}}
    run.begin(description, {"device": "cpu"})
    assert read(run)["finished"] is None
    run.begin(description, {"device": "cuda"})
    run.finish()
    record = read(run)
    assert [s["environment"]["device"] for s in record["sessions"]] == ["cpu", "cuda"]
    assert record["started"] == record["sessions"][0]["started"]
    assert record["sessions"][0]["finished"] is None
    assert record["finished"] == record["sessions"][1]["finished"] >= record["started"]
    assert record["task"] == {"name": "聊天"}


def test_a_folder_of_another_run_is_not_taken_over(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.begin({"identity": {"seed": 0}}, {})
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(InputError, match="holds another run"):
        run.begin({"identity": {"seed": 1}}, {})
    assert (tmp_path / "run.json").read_bytes() == before


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\ufeff{}"])
def test_an_unreadable_run_json_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        RunFolder(tmp_path).record()
    assert str(tmp_path / "run.json") in str(caught.value)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "分数.json"
    path.write_text("旧")

    def break_off() -> None:
        with replacing(path) as file:
            file.write("新")
            file.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert path.read_text() == "旧"
    assert list(tmp_path.iterdir()) == [path]
    with replacing(path) as file:
        file.write("新 \ud800\n")
    assert json.loads(f'"{path.read_text().strip()}"') == "新 \ud800"
