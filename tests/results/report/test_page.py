"""The page as text: nothing of the data is markup, nothing is loaded, the numbers are the run's."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import handmade
import hostile
import pytest
from handmade import answer, evaluated, says

from f2rcli.results.report.page import render_page
from f2rcli.results.report.samples import embedded_json
from f2rcli.results.report.sections import read_sections
from f2rcli.tasks.types import Failure

LOADING = ("src", "href", "action", "data", "srcset", "poster", "formaction", "background")


class Page(HTMLParser):
    """A page's elements, the text of its scripts and styles, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:  # in a script or a style
            self.raw.append((*self.elements[-1], data))
        elif data.strip():
            self.words.append(data.strip())

    def data(self) -> dict[str, Any]:
        return dict(json.loads(next(text for _, a, text in self.raw if a.get("id") == "data")))


def test_data_cannot_become_markup(page: str) -> None:
    parsed = Page(page)
    assert [a.get("type") for tag, a in parsed.elements if tag == "script"] == ["application/json", None]
    attributes = [(tag, name) for tag, a in parsed.elements for name in a]
    assert not [found for found in attributes if found[1].startswith("on") or found[1] == "style"]
    assert not [tag for tag, _ in parsed.elements if tag in ("img", "iframe", "object", "link", "base")]
    addresses = [a[name] for _, a in parsed.elements for name in LOADING if a.get(name)]
    assert all(str(address).startswith("#") for address in addresses)


def test_data_comes_back_as_it_was(page: str) -> None:
    [task] = Page(page).data()["tasks"]
    said = [text for _, _, text, _ in task["dialogues"][0]["turns"]]
    assert said[: len(hostile.TEXTS)] == hostile.TEXTS
    assert [sample["query"] for sample in task["samples"]] == [
        f"{text} 第{n}问" for n, text in enumerate(hostile.TEXTS[:3])
    ]
    assert task["models"] == list(hostile.ANSWERS)
    assert task["samples"][2]["answers"][1]["raw"] == [hostile.TEXTS[0]]
    assert task["samples"][2]["shares"] == [hostile.TEXTS[0]]


@pytest.mark.parametrize(
    "text", ["\u2028\u2029\ud800<>&", "</ScRiPt>", "\x00\r\n\t\x7f\ufeff", "\\u003c"]
)
def test_embedded_json_is_json_without_a_sign_of_html(text: str) -> None:
    written = embedded_json({text: [text]})
    assert json.loads(written) == {text: [text]}
    assert not set("<>&\u2028\u2029\ud800\r\n") & set(written)


def test_the_policy_allows_this_page_and_nothing_else(page: str) -> None:
    parsed = Page(page)
    [policy] = [a["content"] for _, a in parsed.elements if a.get("http-equiv")]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    own = {tag: text for tag, a, text in parsed.raw if a.get("id") != "data"}
    hashes = {
        tag: "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for tag, text in own.items()
    }
    assert rules == {
        "default-src": "'none'",
        "style-src": hashes["style"],
        "script-src": hashes["script"],
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_a_picture_is_there_once_and_a_missing_one_is_named(page: str) -> None:
    data = Page(page).data()
    [(uri, width, height)] = data["pictures"]
    assert uri.startswith("data:image/webp;base64,")
    assert base64.b64decode(uri.split(",")[1])[8:12] == b"WEBP"
    assert (width, height) == (160, 100)  # of 320 × 200
    [[_, first], [_, second], [path, missing]] = data["tasks"][0]["dialogues"][0]["images"]
    assert (first, second, path) == (0, 0, "图片/2.jpg")
    assert missing.startswith("no such image under ")


def test_the_numbers_are_those_of_scores_json(tmp_path: Path) -> None:
    """Of the three requests the third is refused by one of the models."""
    chats, out = handmade.write_chats(tmp_path / "数据"), tmp_path / "运行"
    text = answer([2, 3, 7], [0])
    runs = [
        evaluated(says(text), chats, out),
        evaluated(
            handmade.Scripted(
                lambda r: Failure("refused", "不") if r.id.endswith(":2") else text, config=1
            ),
            chats,
            out,
        ),
    ]
    page = Page(render_page(*read_sections([out])))
    for run, label in zip(runs, ("手写 模型", "手写 模型 (2)"), strict=True):
        scores = handmade.scores(run)["strict"]
        place = page.words.index(label)
        shown = page.words[place + 1 : place + 7]
        wanted = [scores["joint"][name] for name in ("precision", "recall", "f1", "mcc")]
        wanted += [scores["utterance"]["f1"], scores["image"]["f1"]]
        assert shown == [f"{100 * value:.2f}" for value in wanted]
    assert "3 requests of 1 dialogues, strict protocol, micro average" in page.words
    assert any(
        re.fullmatch(r"coverage 66\.67 % \(F1 of the answered .*\), 1 refused", w) for w in page.words
    )
    assert [w for w in page.words if w.startswith(str(out))] == [str(run.path) for run in runs]


def test_a_run_that_has_nothing_to_show_yet_is_said_and_not_shown(tmp_path: Path) -> None:
    chats, out = handmade.write_chats(tmp_path / "数据"), tmp_path / "运行"
    runs = [evaluated(says(answer([2]), config=n), chats, out) for n in range(2)]
    record = runs[1].record() | {"finished": None}
    (runs[1].path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (runs[1].path / "predictions.jsonl").unlink()
    chats.unlink()
    sections, notes = read_sections([out])
    assert [len(section.columns) for section in sections] == [1]
    [note] = notes
    assert note.startswith(f"手写 模型 on {chats.stem} is not shown: ")
    assert note in Page(render_page(sections, notes)).words


def test_runs_of_other_requests_are_not_beside_each_other(tmp_path: Path) -> None:
    files = hostile.write(tmp_path)
    lines = files[1].read_text(encoding="utf-8").splitlines(keepends=True)
    files[1].write_text("".join(lines[:2]), encoding="utf-8")
    sections, _ = read_sections(files)
    assert [[column.label for column in section.columns] for section in sections] == [
        ["好.jsonl"],
        ["<svg onload=window.hacked=4>.jsonl"],
    ]
    assert [section.base for section in sections] == [None, None]


def test_answers_are_paired_by_content_and_not_by_line(tmp_path: Path) -> None:
    files = hostile.write(tmp_path)
    before = Page(render_page(*read_sections(files))).data()
    lines = files[1].read_text(encoding="utf-8").splitlines(keepends=True)
    files[1].write_text("".join(reversed(lines)), encoding="utf-8")
    assert Page(render_page(*read_sections(files))).data() == before
    [task] = before["tasks"]
    exact = [[answer["exact"] for answer in sample["answers"]] for sample in task["samples"]]
    assert exact == [[True, False], [True, True], [False, False]]
