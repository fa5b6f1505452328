"""The sets: as many requests, turns and shares as promised, whatever the seed."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations, islice
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given, settings
from mini_chats import SEEDS
from small_sets import SMALL

from f2rcli.tasks.check import Checker
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.mini.cache import SEED, expected_digest
from f2rcli.tasks.mini.chats import Chat
from f2rcli.tasks.mini.sets import SETS, chats, write
from f2rcli.tasks.mini.words import kept_apart, topics
from f2rcli.tasks.stats import collect
from f2rcli.tasks.types import Dialogue

SIBLINGS = (SEED, 1, 2, 7, 2026)
TESTED = ("mini-mldr", "mini-wechat")
DECK = {"no-overlap": 7, "overlap": 6, "picture-only": 4, "nothing": 3}
UNSEEN = {topic.name for topic in topics("en") if topic.unseen}
every_sibling = pytest.mark.parametrize("seed", SIBLINGS)
both_sets = pytest.mark.parametrize("name", TESTED)


@cache
def made(name: str, seed: int) -> list[Chat]:
    return list(chats(SETS[name], seed))


def contents(dialogue: Dialogue) -> int:
    """Identity by what is said: the pictures' paths have the set's name in them."""
    return hash(tuple((u.speaker, u.text, u.images) for u in dialogue.utterances))


def spoken_of(chat: Chat) -> set[str]:
    return {line.topic for line in chat.lines if line.topic}


@pytest.mark.parametrize(
    ("name", "requests"),
    [("mini-mldr", 300), ("mini-wechat", 200), ("mini-mldr-train", 21_000), ("mini-mldr-grpo", 2_000)],
)
def test_sizes(name: str, requests: int) -> None:
    assert SETS[name].requests == requests
    if name in TESTED:
        assert sum(len(chat.requests()) for chat in made(name, SEED)) == requests


@both_sets
@every_sibling
def test_turns(name: str, seed: int) -> None:
    turns = [len(chat.lines) for chat in made(name, seed)]
    low, high = {"mini-mldr": (23, 28), "mini-wechat": (70, 82)}[name]
    assert low <= fmean(turns) <= high
    assert (max(turns) > 100) == (name == "mini-wechat")  # those are sliced
    pictures = [len(chat.things) for chat in made(name, seed)]
    assert (min(pictures), max(pictures) > 5, max(pictures) <= 8) == (0, True, True)


@both_sets
@every_sibling
def test_half_of_the_dialogues_and_about_half_of_the_requests_are_of_each_language(
    name: str, seed: int
) -> None:
    found = made(name, seed)
    assert sum(chat.language == "zh" for chat in found) == len(found) / 2
    asked = Counter(chat.language for chat in found for _ in chat.asked)
    assert 0.45 < asked["zh"] / asked.total() < 0.55
    assert min(len(chat.asked) for chat in found) >= 2


@pytest.mark.parametrize("name", SMALL)
@given(SEEDS)
@settings(max_examples=10)
def test_every_deck_of_any_seed_has_the_same_shares(name: str, seed: int) -> None:
    decks = list(chats(replace(SETS[name], decks=3), seed))
    for begin in (0, 8, 16):
        asked = [asked for chat in decks[begin : begin + 8] for asked in chat.asked]
        assert Counter(a.kind for a in asked) == DECK
        unseen = sum(a.topic.unseen for a in asked)
        assert unseen == (4 if name == "mini-wechat" else 0)


@both_sets
@every_sibling
def test_the_shares_that_are_promised(name: str, seed: int) -> None:
    """As `f2r data stats` measures them on the finished requests."""
    found = collect(request for chat in made(name, seed) for request in chat.requests())
    assert found.requests == SETS[name].requests
    assert found.synthetic
    assert found.without_overlap >= 0.30 * found.requests
    assert found.pictured_only >= 0.15 * found.requests
    assert found.nothing >= 0.10 * found.requests
    named = {kind: found.named[kind] / found.requests for kind in DECK}
    assert named == {"no-overlap": 0.35, "overlap": 0.30, "picture-only": 0.20, "nothing": 0.15}
    assert found.nothing == found.named["nothing"]
    assert found.pictured_only == found.named["picture-only"]
    assert found.named["unseen-topic"] / found.requests == (0.2 if name == "mini-wechat" else 0)


@pytest.mark.parametrize("name", SMALL)
def test_what_meets_and_what_is_never_met(name: str) -> None:
    other = name == "mini-wechat"
    for chat in islice(chats(SETS[name], SEED), 400):
        assert bool(spoken_of(chat) & UNSEEN) <= other
        assert any(kept_apart(*pair) for pair in combinations(spoken_of(chat), 2)) == other


def test_every_topic_that_may_be_spoken_of_is() -> None:
    names = {topic.name for topic in topics("en")}
    for name in TESTED:
        spoken = set().union(*map(spoken_of, made(name, SEED)))
        assert spoken == (names if name == "mini-wechat" else names - UNSEEN)


@pytest.mark.parametrize("decks", [60, pytest.param(1050, marks=pytest.mark.slow)])
def test_no_dialogue_is_there_twice_nor_in_two_sets(decks: int) -> None:
    trained = [
        contents(chat.dialogue)
        for made in (replace(SETS["mini-mldr-train"], decks=decks), SETS["mini-mldr-grpo"])
        for chat in chats(made, SEED)
    ]
    assert len(trained) == len(set(trained)) == 8 * (decks + 100)
    for name in TESTED:
        for seed in SIBLINGS:
            tested = [contents(chat.dialogue) for chat in made(name, seed)]
            assert len(tested) == len(set(tested))
            assert not set(tested) & set(trained)


def test_another_seed_makes_other_dialogues() -> None:
    for name in TESTED:
        found = [contents(chat.dialogue) for seed in SIBLINGS for chat in made(name, seed)]
        assert len(found) == len(set(found))


@pytest.fixture(scope="module")
def sibling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sets with a seed of their own, on disk."""
    folder = tmp_path_factory.mktemp("姊妹")
    for name in TESTED:
        (folder / name).mkdir()
        (folder / name / "digest").write_text(write(SETS[name], 7, folder / name))
    return folder


@both_sets
def test_every_record_is_sound(sibling: Path, name: str) -> None:
    file = sibling / name / f"{name}.jsonl"
    checker = Checker(file, ImageFolder((file.parent,)))
    assert [str(finding) for finding in checker.findings()] == []
    assert checker.records == checker.requests == SETS[name].requests


@both_sets
def test_what_is_read_is_what_the_lines_say(sibling: Path, name: str) -> None:
    read = list(load_task(str(sibling / name / f"{name}.jsonl")).requests())
    expected = [(chat, asked) for chat in made(name, 7) for asked in chat.asked]
    for request, (chat, asked) in zip(read, expected, strict=True):
        assert request.gold == chat.fragment(asked.topic.name)
        assert (request.query.text, request.dialogue.id) == (asked.text, chat.dialogue.id)
        assert request.dialogue.images == chat.dialogue.images
        for read_turn, turn in zip(request.dialogue.utterances, chat.dialogue.utterances, strict=True):
            assert replace(read_turn, text="") == replace(turn, text="")
            assert read_turn.text == turn.text.strip()
        assert request.shares[:3] == ("synthetic", chat.language, asked.kind)
    assert len({request.id for request in read}) == len(read)


@both_sets
def test_there_is_a_picture_for_every_image_and_no_other(sibling: Path, name: str) -> None:
    paths = {image.path for chat in made(name, 7) for image in chat.dialogue.images}
    files = {str(file.relative_to(sibling / name)) for file in (sibling / name).rglob("*.png")}
    assert files == paths
    assert all(path.startswith(f"images/{name}-7-") for path in paths)


def test_the_same_seed_writes_the_same_on_any_run(tmp_path: Path) -> None:
    """Also where Python orders its sets otherwise."""
    code = (
        "import sys, pathlib, small_sets\n"
        "from f2rcli.tasks.mini.sets import write\n"
        "print(write(small_sets.SMALL[sys.argv[1]], 5, pathlib.Path(sys.argv[2])))"
    )
    name, digests = "mini-wechat", []
    for salt in ("1", "2"):
        (tmp_path / salt).mkdir()
        support = str(Path(__file__).parents[2] / "support")
        env = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": support}
        command = [sys.executable, "-c", code, name, str(tmp_path / salt)]
        digests.append(subprocess.run(command, env=env, check=True, capture_output=True).stdout)
    first, second = ((tmp_path / salt / f"{name}.jsonl").read_bytes() for salt in "12")
    assert first == second
    assert digests[0] == digests[1]
    pictures = sorted((tmp_path / "1").rglob("*.png"))
    assert pictures
    for file in pictures:
        assert file.read_bytes() == (tmp_path / "2" / file.relative_to(tmp_path / "1")).read_bytes()


def test_the_digest_is_of_records_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(seed: int, place: str) -> str:
        (tmp_path / place).mkdir()
        return write(SMALL["mini-mldr"], seed, tmp_path / place)

    plain = digest(1, "a")
    assert plain == digest(1, "b") != digest(2, "c")
    monkeypatch.setattr("f2rcli.tasks.mini.pictures.CONTRAST", 0)
    assert digest(1, "d") != plain  # the same records with other pictures
    records = [(tmp_path / place / "mini-mldr.jsonl").read_bytes() for place in "ad"]
    assert records[0] == records[1]


def test_records_are_plain_lines_of_readable_text(sibling: Path) -> None:
    text = (sibling / "mini-mldr/mini-mldr.jsonl").read_text(encoding="utf-8")
    assert "\\u" not in text
    assert "\r" not in text
    records = [json.loads(line) for line in text.splitlines()]
    assert [list(record) for record in records] == [
        ["messages", "images", "dialogue_id", "solution", "shares"]
    ] * 300


@pytest.mark.parametrize(
    "name", [*TESTED, "mini-mldr-grpo", pytest.param("mini-mldr-train", marks=pytest.mark.slow)]
)
def test_what_is_made_is_what_the_package_expects(name: str, tmp_path: Path) -> None:
    """A change of the world changes tasks/mini/digests.toml, and every score on the mini sets."""
    assert write(SETS[name], SEED, tmp_path) == expected_digest(name)
