"""Every text and picture is embedded once."""

from pathlib import Path

import numpy as np
import pytest
from flat import Flat, at
from short_chats import picture, request

from f2rcli.adapters.encoders.embed import embed
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Request


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("F2R_CACHE", str(tmp_path / "缓存"))


@pytest.fixture
def requests(tmp_path: Path) -> list[Request]:
    """Two queries over one chat with two pictures, and one over another that repeats some of it."""
    tent, same, cake = (picture(tmp_path / f"{i}.png", seed) for i, seed in enumerate((1, 1, 2)))
    turns = ("去露营吗", ("看这个帐篷", [tent, same]), ("", [cake]), "好")
    return [
        request(*turns, query="帐篷"),
        request(*turns, query="谁带蛋糕"),
        request("好", "  ", ("帐篷", [cake]), query="好"),
    ]


def test_texts_and_pictures_of_all_requests_are_there(requests: list[Request]) -> None:
    found = embed(Flat("甲"), requests)
    assert set(found.texts) == {"去露营吗", "看这个帐篷", "好", "帐篷", "谁带蛋糕"}  # and nothing empty
    assert set(found.images) == {i.path for r in requests for i in r.dialogue.images}
    assert np.array_equal(found.texts["帐篷"], at(2))
    assert (found.encoder, found.digest, found.cut) == ("flat 甲", "甲", 0)


def test_each_is_computed_once(requests: list[Request]) -> None:
    encoder = Flat()
    embed(encoder, requests)
    assert sorted(encoder.read) == sorted({"去露营吗", "看这个帐篷", "好", "帐篷", "谁带蛋糕"})
    assert len(encoder.seen) == 2  # 1.png has the content of 0.png
    assert "2.png" in encoder.seen
    again = Flat()
    first, second = embed(encoder, requests), embed(again, [*requests, request("新的", query="帐篷")])
    assert (again.read, again.seen) == (["新的"], [])
    assert all(np.array_equal(first.texts[text], second.texts[text]) for text in first.texts)


def test_another_encoder_does_not_get_what_the_first_one_made(requests: list[Request]) -> None:
    embed(Flat("甲", angle=lambda text: 0), requests)
    other = Flat("乙", angle=lambda text: 45)
    found = embed(other, requests)
    assert len(other.read) == 5
    assert [float(vector[0]) for vector in found.texts.values()] == pytest.approx([0.5**0.5] * 5)


def test_a_changed_picture_is_another_one(requests: list[Request], tmp_path: Path) -> None:
    embed(Flat(), requests)
    picture(tmp_path / "2.png", seed=3)
    again = Flat()
    embed(again, requests)
    assert (again.read, again.seen) == ([], ["2.png"])


def test_cut_texts_are_counted_also_when_they_are_cached(requests: list[Request]) -> None:
    assert [embed(Flat(longest=3), requests).cut for _ in range(2)] == [3, 3]
    assert embed(Flat(longest=3), requests[2:]).cut == 0


def test_progress_is_told_where_there_is_work(requests: list[Request]) -> None:
    said: list[tuple[int, int]] = []
    many = [*requests, request(*(f"第{i}句" for i in range(Flat.at_once)))]
    embed(Flat(), many, lambda done, total: said.append((done, total)))
    total = 5 + Flat.at_once + 1 + 2
    assert said == [(Flat.at_once, total), (5 + Flat.at_once + 1, total), (total, total)]
    embed(Flat(), many, lambda done, total: said.append((0, 0)))
    assert (0, 0) not in said


def test_what_was_made_before_a_faulty_picture_is_kept(requests: list[Request], tmp_path: Path) -> None:
    class Picky(Flat):
        def images(self, files):  # type: ignore[no-untyped-def]
            raise InputError("not a picture", where=str(files[0]))

    with pytest.raises(InputError, match="not a picture"):
        embed(Picky(), requests)
    again = Flat()
    embed(again, requests)
    assert again.read == []


def test_half_a_character_is_a_text_too() -> None:
    assert "\ud800" in embed(Flat(), [request("\ud800", query="猫")]).texts
