"""One dialogue in the terminal."""

from io import StringIO
from pathlib import Path
from typing import Any

import handmade
import official
import pytest
from handmade import Scripted, answer, evaluated, lines, says

from f2rcli.results.render import console
from f2rcli.results.show import find_prediction, prediction_file, show_fragment, show_prediction
from f2rcli.tasks.chats import read_dialogue
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.scoring import Protocol
from f2rcli.tasks.types import Failure, Fragment


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def shown(line: dict[str, Any], protocol: Protocol = "strict") -> list[str]:
    text = StringIO()
    show_prediction(line, protocol, console(text))
    return text.getvalue().splitlines()


def prediction(chats: Path, out: Path, said: str | Failure) -> dict[str, Any]:
    """The line for the first query, whose gold is [2, 3, 4] and image 0."""
    run = evaluated(Scripted(lambda request: said), chats, out)
    return find_prediction(prediction_file(run.path), "露营:0")


def test_what_is_gold_retrieved_and_missed_is_marked(chats: Path, out: Path) -> None:
    text = shown(prediction(chats, out, answer([2, 5], [1])))
    assert text[0].split() == ["query", "帐篷在哪里"]
    marks = {line.split(":")[0].split()[-2]: line[0] for line in text if "的第" in line}
    assert {i for i, mark in marks.items() if mark == "✓"} == {"2"}
    assert {i for i, mark in marks.items() if mark == "○"} == {"4"}
    assert {i for i, mark in marks.items() if mark == "✗"} == {"5"}
    images = {line.split("] ")[1]: line[0] for line in text if "[image" in line}
    assert images == {"图片/3.png": "○", "图片/7.png": "✗"}
    assert "utterances: 1 found, 2 missed, 1 too many" in text
    assert "images: 0 found, 1 missed, 1 too many" in text
    assert answer([2, 5], [1]) in text[-1]


def test_failures_and_invented_ids_are_told(chats: Path, out: Path) -> None:
    assert "failures: refused (不行)" in shown(prediction(chats, out / "1", Failure("refused", "不行")))
    text = shown(prediction(chats, out / "2", answer([2, 99])))
    assert f"ids out of range: {answer([99])}" in text


def test_the_protocol_says_how_an_answer_is_read(chats: Path, out: Path) -> None:
    line = prediction(chats, out, "答案：" + answer([2, 3, 4], [0]))
    assert "failures: malformed" in shown(line, "strict")
    assert "utterances: 3 found, 0 missed, 0 too many" in shown(line, "published")


def test_typed_markup_is_shown_as_typed(tmp_path: Path, out: Path) -> None:
    chat = handmade.chat()
    chat["dialogue"][0]["utterance"] = "[bold]粗体[/bold] :smile:"
    line = prediction(handmade.write_chats(tmp_path, chat), out, answer())
    assert any(text.endswith("[bold]粗体[/bold] :smile:") for text in shown(line))


def test_a_request_is_found_by_id_or_by_its_place(chats: Path, out: Path) -> None:
    path = prediction_file(evaluated(says(answer()), chats, out).path)
    expected = lines(path)
    assert find_prediction(path, "露营:2") == find_prediction(path, "2") == expected[2]
    with pytest.raises(InputError, match="no request '露营:7'") as caught:
        find_prediction(path, "露营:7")
    assert "露营:0" in str(caught.value)


def test_an_id_that_is_a_number_is_no_place(tmp_path: Path) -> None:
    named = [official.line("user1: 你好", dialogue_id=name) for name in ("2", "1", "0")]
    path = official.write(tmp_path / "预测.jsonl", *named)
    assert [find_prediction(path, name) for name in ("0", "1", "2")] == named[::-1]


def test_files_of_others_are_shown_too(golden: Path) -> None:
    path = golden / "metrics/predictions_0.jsonl"
    line = find_prediction(prediction_file(path), "3")
    assert line == lines(path)[3]
    text = shown(line, "published")
    assert text[0].startswith("query  ")
    assert "(no query found)" not in text[0]


def test_every_golden_line_can_be_shown(golden: Path) -> None:
    for path in (golden / "metrics").glob("*.jsonl"):
        for line in lines(path):
            for protocol in ("published", "strict"):
                assert any(text.startswith("utterances: ") for text in shown(line, protocol))


@pytest.mark.parametrize("name", ["没有", "空的"])
def test_what_is_no_run_and_no_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "空的").mkdir()
    with pytest.raises(InputError, match=name):
        prediction_file(tmp_path / name)


def test_a_fragment_is_shown_without_the_rest(chats: Path) -> None:
    text = StringIO()
    dialogue = read_dialogue(chats)
    show_fragment(dialogue, Fragment(frozenset({2, 7}), frozenset({0})), console(text))
    assert text.getvalue().splitlines() == [
        "   2 阿梅: 露营的第2句话",
        "   3 [image 0] 图片/3.png",
        "   7 小林: ",
    ]


def test_an_empty_fragment_is_said_in_words(chats: Path) -> None:
    text = StringIO()
    show_fragment(read_dialogue(chats), Fragment(), console(text))
    assert "nothing" in text.getvalue()
