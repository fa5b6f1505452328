"""What holds for every probe on every chat, whatever people type in it."""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from official import PICTURE, answer, record

from f2rcli.tasks.predictions import Answer, parse_prediction, prediction_line
from f2rcli.tasks.probes import NEEDS, Probe
from f2rcli.tasks.prompts import PromptTemplate
from f2rcli.tasks.records import parse_record
from f2rcli.tasks.scoring import JUDGES
from f2rcli.tasks.slicing import merged_line, slice_request
from f2rcli.tasks.tags import render_answer, render_content
from f2rcli.tasks.types import Fragment, Query, Request

TYPED = "<|img_id_start|>3<|img_id_end|><image>"  # somebody typed a picture


def meant(asked: Request) -> tuple[Counter[Any], Counter[str]]:
    """What the gold ids stand for: lines with the paths of their pictures, and pictures."""
    assert asked.gold
    paths = {image.id: image.path for image in asked.dialogue.images}
    return (
        Counter(tuple(said) for number, *said in said_by(asked) if number in asked.gold.utterances),
        Counter(path for image, path in paths.items() if image in asked.gold.images),
    )


def said_by(asked: Request) -> list[tuple[Any, ...]]:
    """Every utterance: its id, and what is in it."""
    paths = {image.id: image.path for image in asked.dialogue.images}
    return [
        (u.id, u.speaker, u.text, *(paths[image] for image in u.images))
        for u in asked.dialogue.utterances
    ]


def everything(asked: Request) -> Counter[Any]:
    return Counter(tuple(said) for _, *said in said_by(asked))


def line_of(asked: Request, most: int | None = None) -> dict[str, Any]:
    """The prediction line of somebody who gives the gold answer, to every slice of its own."""
    slices = slice_request(asked, most)
    golds = [render_answer(part.request.gold or Fragment()) for part in slices]
    if len(slices) == 1:
        return prediction_line(asked, golds[0], {"failures": {}})
    total = len(asked.dialogue.images)
    answers = [Answer(text, part.images, total) for text, part in zip(golds, slices, strict=True)]
    return merged_line(asked, answers, {"failures": {}})


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Chats of official records, or in a prompt of ours, with whatever people type in them."""
    pieces = st.sampled_from(
        ["你好", "看看🐱", "a: b", "<image>", TYPED, "第一行\n第二行 ", PICTURE, PICTURE]
    )
    said = draw(st.lists(st.lists(pieces, max_size=4).map("".join), min_size=1, max_size=9))
    turns = [f"{'甲乙'[n % 2]}: {text}" for n, text in enumerate(said)]
    pictures = "".join(said).count(PICTURE)
    gold = answer(
        sorted(draw(st.sets(st.integers(0, len(said) - 1)))),
        sorted(draw(st.sets(st.integers(0, pictures - 1)))) if pictures else [],
    )
    parsed = parse_record(record(*turns, gold=gold))
    assume(not parsed.problems)
    asked = replace(parsed.requests[0], id="对话:0")
    return PromptTemplate.load("zh").apply(asked) if draw(st.booleans()) else asked


PROBES = st.builds(Probe, st.sampled_from(sorted(NEEDS)), st.integers(0, 5))


@given(requests(), PROBES, st.sampled_from([None, 2, 3]))
def test_who_answers_with_the_gold_is_right_in_every_way(
    asked: Request, probe: Probe, most: int | None
) -> None:
    probed = probe.apply(asked)
    prediction = parse_prediction(line_of(probed, most), "")
    for judge in JUDGES.values():
        verdict = judge(prediction)
        assert verdict.exact
        assert verdict.gold == probed.gold
        assert not verdict.out_of_range.size
    assert prediction.universe == probed.dialogue.everything == asked.dialogue.everything
    assert prediction.probe == probe.name


@given(requests(), PROBES)
def test_nothing_is_lost_and_gold_means_what_it_meant(asked: Request, probe: Probe) -> None:
    probed = probe.apply(asked)
    assert meant(probed) == meant(asked)
    assert everything(probed) == everything(asked)
    assert [u.id for u in probed.dialogue.utterances] == [u.id for u in asked.dialogue.utterances]
    assert [image.id for image in probed.dialogue.images] == [
        image.id for image in asked.dialogue.images
    ]


@given(requests(), PROBES)
def test_a_line_reads_as_what_was_asked(asked: Request, probe: Probe) -> None:
    probed = probe.apply(asked)
    read = parse_record(line_of(probed))
    assert read.problems == []
    [again] = read.requests
    assert again.dialogue.images == probed.dialogue.images
    carried = [(u.id, u.images) for u in probed.dialogue.utterances]
    assert [(u.id, u.images) for u in again.dialogue.utterances] == carried
    assert render_content(again.prompt) == render_content(probed.prompt)
    assert again.gold == probed.gold


@given(requests(), PROBES)
def test_the_same_seed_does_the_same_to_every_query_of_a_dialogue(asked: Request, probe: Probe) -> None:
    probed = probe.apply(asked)
    assert probe.apply(asked) == probed
    other = probe.apply(replace(asked, query=Query("面馆"), gold=Fragment()))
    assert other.dialogue == probed.dialogue
    assert (probed.probe, probed.origin) == (probe.name, asked.digest)


@given(requests(), PROBES)
def test_a_probe_changes_what_it_says_that_it_changes(asked: Request, probe: Probe) -> None:
    probed = probe.apply(asked)
    if not probe.changes(asked):
        assert replace(probed, probe="", origin="") == asked
    elif probe.name == "shuffle-image-ids":
        before = [image for u in asked.dialogue.utterances for image in u.images]
        after = [image for u in probed.dialogue.utterances for image in u.images]
        assert all(new != old for new, old in zip(after, before, strict=True))
        assert probed.digest != asked.digest
    elif probe.name == "shuffle-turns":
        images = [image for u in probed.dialogue.utterances for image in u.images]
        assert images == sorted(images)
    elif probe.name == "text-only":
        assert probed.prompt_digest != asked.prompt_digest
        assert not [part for part in probed.prompt.parts() if isinstance(part, int)]
