"""Chats of the mini world from a seed, made as the sets make theirs."""

from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st

from f2rcli.tasks.mini.chats import Chat, Domain, make_chat
from f2rcli.tasks.mini.queries import DECK, Kind
from f2rcli.tasks.mini.words import LANGUAGES, Topic, topics

DOMAINS: tuple[Domain, ...] = ("mldr", "wechat")
SEEDS = st.integers(0, 2**32)


def pool(domain: Domain, language: str) -> list[Topic]:
    """What a set of that domain may talk about."""
    return [topic for topic in topics(language) if domain == "wechat" or not topic.unseen]


def chat(
    seed: int, domain: Domain, language: str, kinds: Sequence[Kind] = DECK[1], **options: Any
) -> Chat:
    return make_chat(Random(seed), domain, pool(domain, language), kinds, name="对话", **options)


def said(chat: Chat, topic: Topic) -> list[str]:
    """The texts of the lines about a topic."""
    ids = chat.fragment(topic.name).utterances
    return [u.text for u in chat.dialogue.utterances if u.id in ids]


CHATS = st.builds(
    chat, SEEDS, st.sampled_from(DOMAINS), st.sampled_from(LANGUAGES), st.sampled_from(DECK)
)
