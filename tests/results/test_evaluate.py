"""Asking: every answer is kept at once, and only what is open is asked again."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import handmade
import pytest
from handmade import Scripted, answer, evaluated, lines, says, scores

from f2rcli.adapters.reference import Oracle
from f2rcli.adapters.retriever import Retriever
from f2rcli.results.runs import RunFolder
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Failure, Request, Retrieval

IDS = ["露营:0", "露营:1", "露营:2"]


def asked(retriever: Scripted) -> list[str]:
    return [request.id for request in retriever.asked]


def test_every_answer_is_on_disk_before_the_next_is_asked_for(chats: Path, out: Path) -> None:
    seen = []

    def look(request: Request) -> str:
        seen.append([line["request"] for file in out.rglob("answers.jsonl") for line in lines(file)])
        return answer([1])

    run = evaluated(Scripted(look), chats, out)
    assert seen == [[], IDS[:1], IDS[:2]]
    assert [line["request"] for line in lines(run.path / "answers.jsonl")] == IDS


def test_run_json_is_there_before_the_first_answer(chats: Path, out: Path) -> None:
    records = []

    def look(request: Request) -> str:
        records.extend(json.loads(file.read_text()) for file in out.rglob("run.json"))
        return answer()

    run = evaluated(Scripted(look), chats, out, limit=1)
    assert [record["finished"] for record in records] == [None]
    assert run.record()["finished"] is not None


def test_results_may_come_in_any_order_and_predictions_are_in_the_datasets(
    chats: Path, out: Path
) -> None:
    class Backwards(Scripted):
        def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
            return super().retrieve(requests[::-1])

    run = evaluated(Backwards(lambda request: answer([2])), chats, out)
    assert [line["request"] for line in lines(run.path / "answers.jsonl")] == IDS[::-1]
    assert [line["f2r"]["request"] for line in lines(run.path / "predictions.jsonl")] == IDS


def test_what_was_answered_before_an_exception_is_kept_and_not_asked_again(
    chats: Path, out: Path
) -> None:
    def broken(request: Request) -> str:
        if request.id == IDS[2]:
            raise ZeroDivisionError
        return answer([2, 3], [0])

    with pytest.raises(ZeroDivisionError):
        evaluated(Scripted(broken), chats, out)
    mended = says(answer())
    run = evaluated(mended, chats, out)
    assert asked(mended) == IDS[2:]
    assert len(list(out.rglob("run.json"))) == 1
    assert len(run.record()["sessions"]) == 2
    assert [line["response"] for line in lines(run.path / "predictions.jsonl")] == [
        answer([2, 3], [0]),
        answer([2, 3], [0]),
        answer(),
    ]


def test_an_oserror_of_the_model_is_not_taken_for_an_unwritable_folder(chats: Path, out: Path) -> None:
    def unreachable(request: Request) -> str:
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(ConnectionRefusedError):
        evaluated(Scripted(unreachable), chats, out)


def test_errors_are_asked_again_and_other_failures_are_not(chats: Path, out: Path) -> None:
    kinds = iter(("error", "refused", "truncated"))
    first = Scripted(lambda request: Failure(next(kinds), "没有回答"))
    before = evaluated(first, chats, out)
    assert asked(first) == IDS
    assert before.errors() == {IDS[0]: "没有回答"}
    again = says(answer([2]))
    run = evaluated(again, chats, out)
    assert asked(again) == IDS[:1]
    assert run.errors() == {}
    assert scores(run)["strict"]["failures"]["error"] == 0
    assert scores(run)["strict"]["failures"]["refused"] == 1
    assert len(lines(run.path / "answers.jsonl")) == 4  # every attempt is kept


def test_a_finished_run_asks_nothing_and_stays_as_it_is(chats: Path, out: Path) -> None:
    run = evaluated(says("答不出来"), chats, out)
    names = ("answers.jsonl", "predictions.jsonl", "scores.json")
    before = [(run.path / name).read_bytes() for name in names]
    again = says("another answer")
    evaluated(again, chats, out)
    assert asked(again) == []
    assert [(run.path / name).read_bytes() for name in names] == before


def test_files_lost_after_the_last_answer_are_made_without_asking(chats: Path, out: Path) -> None:
    run = evaluated(says(answer([2])), chats, out)
    before = [(run.path / name).read_bytes() for name in ("predictions.jsonl", "scores.json")]
    (run.path / "scores.json").unlink()
    (run.path / "predictions.jsonl").rename(run.path / "predictions.jsonl.new")
    again = says("?")
    evaluated(again, chats, out)
    assert asked(again) == []
    assert [(run.path / name).read_bytes() for name in ("predictions.jsonl", "scores.json")] == before


def test_gold_is_hidden_from_retrievers(chats: Path, out: Path) -> None:
    retriever = says(answer())
    evaluated(retriever, chats, out)
    assert [request.gold for request in retriever.asked] == [None] * 3


def test_gold_is_hidden_from_slices_too(tmp_path: Path, out: Path) -> None:
    task = handmade.write_chats(tmp_path, handmade.chat(turns=30))
    retriever = says(answer(), max_turns=10)
    evaluated(retriever, task, out)
    assert len(retriever.asked) == 9
    assert {request.gold for request in retriever.asked} == {None}


def test_a_retriever_that_says_so_sees_gold_and_the_ceiling_is_reached(chats: Path, out: Path) -> None:
    run = evaluated(Oracle(), chats, out)
    assert scores(run)["strict"]["joint"] == {"precision": 1, "recall": 1, "f1": 1, "mcc": 1}


@pytest.mark.parametrize("odd", [IDS[0], "露营:9", "", IDS[1] + "_split_0"])
def test_an_answer_that_was_not_asked_for_ends_the_run(chats: Path, out: Path, odd: str) -> None:
    """Twice the same request, one that does not exist, …"""

    class Odd(Retriever):
        uses_images = False

        def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
            yield Retrieval(requests[0].id, text=answer([1]))
            yield Retrieval(odd, text=answer([2]))

    with pytest.raises(InputError, match="not asked") as caught:
        evaluated(Odd(), chats, out)
    assert repr(odd) in str(caught.value)
    [file] = out.rglob("answers.jsonl")
    assert [(line["request"], line["text"]) for line in lines(file)] == [(IDS[0], answer([1]))]


def test_a_forgotten_request_is_an_error_and_asked_again(chats: Path, out: Path) -> None:
    class Forgetful(Scripted):
        def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
            return super().retrieve(requests[1:])

    run = evaluated(Forgetful(lambda request: answer()), chats, out)
    assert list(run.errors()) == IDS[:1]
    again = says(answer())
    evaluated(again, chats, out)
    assert asked(again) == IDS[:1]


def test_neither_text_nor_a_failure_is_an_error(chats: Path, out: Path) -> None:
    class Silent(Retriever):
        uses_images = False

        def retrieve(self, requests: Sequence[Request]) -> Iterator[Retrieval]:
            return (Retrieval(request.id) for request in requests)

    run = evaluated(Silent(), chats, out)
    assert list(run.errors()) == IDS
    assert scores(run)["strict"]["coverage"] == 0


def test_a_model_that_looks_at_pictures_gets_their_files(chats: Path, out: Path) -> None:
    retriever = says(answer(), uses_images=True)
    evaluated(retriever, chats, out)
    files = [image.file for image in retriever.asked[0].dialogue.images]
    assert files == [str((chats.parent / f"图片/{i}.png").resolve()) for i in (3, 7)]


def test_a_missing_picture_is_named_with_its_record_before_anything_is_asked(
    chats: Path, out: Path
) -> None:
    (chats.parent / "图片/7.png").unlink()
    retriever = says(answer(), uses_images=True)
    with pytest.raises(InputError, match=r"图片/7\.png.*no such image") as caught:
        evaluated(retriever, chats, out)
    assert str(caught.value).startswith(f"{chats}:1 (record 0): ")
    assert retriever.asked == []
    assert not list(out.rglob("run.json"))
    evaluated(says(answer()), chats, out)  # who does not look at pictures does not miss them


def test_progress_counts_what_was_resumed(chats: Path, out: Path) -> None:
    from f2rcli.results.evaluate import evaluate
    from f2rcli.results.selection import Selection
    from f2rcli.tasks.datasets import load_task

    kinds = iter((Failure("error"), Failure("refused"), Failure("error")))
    evaluated(Scripted(lambda request: next(kinds)), chats, out)
    told: list[tuple[int, int]] = []
    selection = Selection.of(load_task(str(chats)), None, 0)
    evaluate(handmade.ROW, says(answer()), selection, out, lambda *numbers: told.append(numbers))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_no_environment_variable_gets_into_a_run(
    chats: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-4711")
    monkeypatch.setenv("我的_秘密", "口令-四七一一")
    run: RunFolder = evaluated(says(answer(), uses_images=True), chats, out)
    files = [file for file in run.path.iterdir() if file.is_file()]
    assert {"run.json", "answers.jsonl", "predictions.jsonl", "scores.json"} <= {f.name for f in files}
    for word in ("sk-secret-4711", "OPENAI_API_KEY", "口令-四七一一", "我的_秘密"):
        written = [word.encode(), json.dumps(word)[1:-1].encode()]
        assert [f.name for f in files if any(w in f.read_bytes() for w in written)] == []
