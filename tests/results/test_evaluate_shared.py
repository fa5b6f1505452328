"""Several processes of one run, as threads: shares, their files, and what is made of them."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import handmade
import pytest
from handmade import ROW, Scripted, answer, evaluated, lines, scores
from torch.distributed import HashStore

from f2rcli.adapters.retriever import UnfinishedError
from f2rcli.results.evaluate import evaluate, rebuild
from f2rcli.results.processes import Processes
from f2rcli.results.runs import RunFolder
from f2rcli.results.selection import Selection
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure, Request

DERIVED = ("predictions.jsonl", "scores.json")
Says = Callable[[Request], str | Failure]


def by_content(request: Request) -> str:
    """An answer that depends on the request alone, with an id that its dialogue has."""
    first = request.dialogue.utterances[0].id
    return answer([first + len(request.query.text) % 5])


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Four short chats with three queries each, and two queries over a long one: 12 + 2 × 2 units."""
    queries = {"开头": [1, 2], "结尾": [128]}
    many = [handmade.chat(f"聊天{i}", turns=10 + i) for i in range(4)]
    return handmade.write_chats(
        tmp_path / "数据", *many, handmade.chat("长聊天", turns=130, queries=queries)
    )


def together(
    count: int, says: Says, task: Path, out: Path, told: list[tuple[int, int]] | None = None
) -> tuple[RunFolder, list[list[Request]]]:
    """The run of so many processes, and what each of them was asked."""
    store = HashStore()

    def one(index: int) -> tuple[RunFolder, list[Request]]:
        retriever = Scripted(says, max_turns=100)
        selection = Selection.of(load_task(str(task)), None, 0)
        processes = Processes(index, count, store)

        def progress(done: int, total: int) -> None:
            if told is not None and processes.first:
                told.append((done, total))

        return evaluate(ROW, retriever, selection, out, progress, processes), retriever.asked

    with ThreadPoolExecutor(count) as threads:
        runs, asked = zip(*threads.map(one, range(count)), strict=True)
    assert len({run.path for run in runs}) == 1
    return runs[0], list(asked)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_several_processes_make_what_one_makes(task: Path, tmp_path: Path, count: int) -> None:
    """Also where there are more of them than the six dialogues (the long one is two)."""
    alone = evaluated(Scripted(by_content, max_turns=100), task, tmp_path / "一个")
    told: list[tuple[int, int]] = []
    run, asked = together(count, by_content, task, tmp_path / "几个", told)
    for name in DERIVED:
        assert (run.path / name).read_bytes() == (alone.path / name).read_bytes()
    assert {p.name for p in run.path.iterdir()} == {p.name for p in alone.path.iterdir()}
    texts = {line["request"]: line["text"] for line in lines(run.path / "answers.jsonl")}
    assert texts == {line["request"]: line["text"] for line in lines(alone.path / "answers.jsonl")}
    assert len(lines(run.path / "answers.jsonl")) == 16
    dialogues = [{request.dialogue.id for request in share} for share in asked]
    assert sum(map(len, dialogues)) == len(set().union(*dialogues)) == 6
    assert sum(map(bool, dialogues)) == min(count, 6)
    record = run.record()
    assert record["identity"] == alone.record()["identity"]
    assert [s["environment"]["processes"] for s in record["sessions"]] == [count]
    assert [s["environment"]["processes"] for s in alone.record()["sessions"]] == [1]
    assert record["finished"]
    done = [number for number, _ in told]
    assert (told[0], told[-1]) == ((0, 16), (16, 16))
    assert done == sorted(done)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_what_failed_is_asked_again_by_another_number_of_processes(
    task: Path, tmp_path: Path, before: int, after: int
) -> None:
    """And only that. Of two attempts the later one counts, whoever made it."""
    alone = evaluated(Scripted(by_content, max_turns=100), task, tmp_path / "一次")

    def half(request: Request) -> str | Failure:
        return by_content(request) if request.query.text != "开头" else Failure("error", "没有")

    first, _ = together(before, half, task, tmp_path / "两次")
    failed = set(first.errors())
    assert failed == {f"长聊天:0_split_{part}" for part in (0, 1)}
    again, asked = together(after, by_content, task, tmp_path / "两次")
    assert sorted(request.id for share in asked for request in share) == sorted(failed)
    assert again.errors() == {}
    assert len(lines(again.path / "answers.jsonl")) == 18
    assert [(again.path / n).read_bytes() for n in DERIVED] == [
        (alone.path / n).read_bytes() for n in DERIVED
    ]


def left_by_a_killed_launch(task: Path, out: Path) -> tuple[RunFolder, list[str]]:
    """A folder with answers of three processes, two of them with a torn last line; which they are."""
    run = evaluated(Scripted(by_content, max_turns=100), task, out)
    whole = (run.path / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "answers.jsonl").write_bytes(b"".join(whole[:4]) + whole[4][:20])
    (run.path / "answers-1.jsonl").write_bytes(b"".join(whole[5:8]) + whole[8][:-1])
    (run.path / "answers-11.jsonl").write_bytes(b"".join(whole[9:11]))
    for name in DERIVED:
        (run.path / name).unlink()
    return run, [json.loads(whole[i])["request"] for i in (0, 1, 2, 3, 5, 6, 7, 9, 10)]


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_killed_launch_left_is_not_asked_again(task: Path, tmp_path: Path, count: int) -> None:
    alone = evaluated(Scripted(by_content, max_turns=100), task, tmp_path / "一次")
    left, kept = left_by_a_killed_launch(task, tmp_path / "断电")
    run, asked = together(count, by_content, task, tmp_path / "断电")
    assert run.path == left.path
    assert not {request.id for share in asked for request in share} & set(kept)
    counted = Counter(line["request"] for line in lines(run.path / "answers.jsonl"))
    assert (len(counted), set(counted.values())) == (16, {1})
    for name in DERIVED:
        assert (run.path / name).read_bytes() == (alone.path / name).read_bytes()
    assert not list(run.path.glob("answers-*"))


def test_scores_of_a_killed_launch_count_every_process(task: Path, tmp_path: Path) -> None:
    run, kept = left_by_a_killed_launch(task, tmp_path)
    rebuild(run)
    assert [line["request"] for line in lines(run.path / "answers.jsonl")] == kept
    assert scores(run)["strict"]["unasked"] == 14 - 9


def test_a_process_that_sees_another_folder_says_so(task: Path, tmp_path: Path) -> None:
    store = HashStore()
    store.add("f2r here 0", 1)  # the first has begun, elsewhere
    selection = Selection.of(load_task(str(task)), None, 0)
    with pytest.raises(InputError, match="is not the folder that the first process writes"):
        evaluate(ROW, Scripted(by_content), selection, tmp_path, processes=Processes(1, 2, store))
    assert not list(tmp_path.rglob("answers*"))


def test_a_launcher_that_has_gone_ends_a_process_whose_answers_are_kept(
    task: Path, tmp_path: Path
) -> None:
    class Ending(Counter[str]):
        def add(self, key: str, amount: int, /) -> int:
            self[key] += amount
            if self["f2r answered 2"] == 3:
                raise RuntimeError("Connection reset\nframe #0")
            return self[key]

    selection = Selection.of(load_task(str(task)), None, 0)
    with pytest.raises(UnfinishedError, match=r"^the launcher has ended \(Connection reset\)$"):
        evaluate(ROW, Scripted(by_content), selection, tmp_path, processes=Processes(0, 1, Ending()))
    [file] = tmp_path.rglob("answers.jsonl")
    assert len(lines(file)) == 3
