"""Chats: dialogue, pictures and gold say the same as the lines that they were made of."""

import re
from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from mini_chats import CHATS, SEEDS, chat, pool

from f2rcli.tasks.mini.chats import Chat, make_chat
from f2rcli.tasks.mini.dialogues import Manner
from f2rcli.tasks.mini.words import LANGUAGES, kept_apart, topics
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.tags import dialogue_ids, render_content
from f2rcli.tasks.types import Fragment

MANY = settings(max_examples=60)
UNSEEN = {topic.name for topic in topics("en") if topic.unseen}


def spoken_of(made: Chat) -> set[str]:
    return {line.topic for line in made.lines if line.topic}


@given(CHATS)
@MANY
def test_gold_is_every_line_about_the_topic_with_its_pictures(made: Chat) -> None:
    for asked, request in zip(made.asked, made.requests(), strict=True):
        about = [i for i, line in enumerate(made.lines) if line.topic == asked.topic.name]
        drawn = [i for i in about if made.lines[i].thing]
        pictures = [i for u in drawn for i in made.dialogue.utterances[u].images]
        assert request.gold == Fragment(frozenset(about), frozenset(pictures))
        assert len(pictures) == len(drawn)
        assert {made.things[i] for i in pictures} <= {asked.topic.thing}
        assert request.query.text == asked.text
        assert (request.gold.size == 0) == (asked.kind == "nothing")


@given(CHATS)
@MANY
def test_turns_and_pictures_are_numbered_in_order(made: Chat) -> None:
    turns = made.dialogue.utterances
    assert [u.id for u in turns] == list(range(len(made.lines)))
    assert [u.text for u in turns] == [line.text for line in made.lines]
    assert [i for u in turns for i in u.images] == list(range(len(made.things)))
    assert [made.lines[u.id].thing for u in turns for _ in u.images] == list(made.things)
    assert [image.id for image in made.dialogue.images] == list(range(len(made.things)))
    assert all(image.path == f"images/对话/{image.id}.png" for image in made.dialogue.images)
    assert all(u.speaker in ("user1", "user2") for u in turns)


@given(CHATS)
@MANY
def test_no_turn_is_empty(made: Chat) -> None:
    assert all(u.text or u.images for u in made.dialogue.utterances)


@given(CHATS)
@MANY
def test_a_request_asks_with_our_prompt_in_the_querys_language(made: Chat) -> None:
    template = PromptTemplate.by_language()
    for request in made.requests():
        assert request.prompt == template.render(request.query.text, made.dialogue)
        assert ("聊天记录" in request.prompt.head) == (made.language == "zh")
        ids, images = dialogue_ids(render_content(request.prompt))
        assert (ids, images) == (list(range(len(made.lines))), len(made.things))


@given(CHATS)
@MANY
def test_shares_are_language_kind_and_whether_the_topic_is_unseen(made: Chat) -> None:
    assert made.language in LANGUAGES
    for asked, request in zip(made.asked, made.requests(), strict=True):
        unseen = ("unseen-topic",) if asked.topic.name in UNSEEN else ()
        assert request.shares == ("synthetic", made.language, asked.kind, *unseen)


@given(SEEDS, st.sampled_from(LANGUAGES))
@MANY
def test_topics_that_are_kept_apart_meet_in_mini_wechat_alone(seed: int, language: str) -> None:
    for domain, meet in (("mldr", False), ("wechat", True)):
        pairs = combinations(spoken_of(chat(seed, domain, language)), 2)
        assert any(kept_apart(*pair) for pair in pairs) == meet


@given(SEEDS, st.sampled_from(LANGUAGES))
@MANY
def test_three_topics_or_four_to_six(seed: int, language: str) -> None:
    assert len(spoken_of(chat(seed, "mldr", language))) == 3
    assert 4 <= len(spoken_of(chat(seed, "wechat", language))) <= 6


@given(SEEDS, st.sampled_from([(), (True,), (False, True), (True, False, True)]))
@MANY
def test_unseen_topics_are_there_only_where_they_are_asked_for(
    seed: int, unseen: tuple[bool, ...]
) -> None:
    kinds = ("no-overlap", "overlap", "picture-only")
    made = chat(seed, "wechat", "en", kinds, unseen=unseen)
    asked = [*unseen, False, False, False][:3]
    assert [a.topic.name in UNSEEN for a in made.asked] == asked
    assert len(spoken_of(made) & UNSEEN) == sum(asked)
    assert ["unseen-topic" in request.shares for request in made.requests()] == asked


def test_texts_are_of_the_chats_language() -> None:
    for language in LANGUAGES:
        for seed in range(10):
            made = chat(seed, "mldr", language)
            text = " ".join(u.text for u in made.dialogue.utterances)
            assert bool(re.search("[\u4e00-\u9fff]", text)) == (language == "zh")


def test_a_manner_of_ones_own_replaces_the_domains() -> None:
    """Pre-training begins with short dialogues over few topics in few words."""
    few = [topic.shortened(2) for topic in pool("mldr", "en")[:4]]
    manner = Manner(topics=(3, 3), part=(1, 2))
    for seed in range(40):
        made = make_chat(Random(seed), "mldr", few, ["no-overlap", "nothing"], name="", manner=manner)
        assert spoken_of(made) <= {topic.name for topic in few}
        assert len(spoken_of(made)) == 3
        assert 3 <= len(made.lines) <= 6
