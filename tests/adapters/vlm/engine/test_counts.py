"""What answering takes of the nano, counted: the benchmark's figures, exactly."""

import pytest
from counting import Counts

from f2rcli.adapters.registry import Settings, find_row, load_rows
from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine.drafts import Drafts
from f2rcli.tasks.datasets import load_task
from f2rcli.tasks.types import Request, Retrieval


@pytest.fixture(scope="module")
def asked() -> list[Request]:
    """Seven queries about two dialogues of three pictures each."""
    task = load_task("example")
    return [task.with_images(request).without_gold() for request in task.requests()]


def load(**settings: object) -> VLM:
    row = find_row("f2rvlm-nano", load_rows()).settings
    return VLM.load(row, Settings(**settings))  # type: ignore[arg-type]


def calls(vlm: VLM, request: Request, text: str) -> int:
    """Calls behind the one that reads, of an answer written alone, by hand: take what is drafted as long
    as it is right, and one token more."""
    end = vlm.tokenizer.eos_token_id
    tokens = [*vlm.tokenizer(text, add_special_tokens=False)["input_ids"], end]
    drafts, written, count = Drafts(vlm.tokenizer, request.dialogue, end), 1, 0
    while written < len(tokens):
        for proposed in drafts.after(tokens[:written]):
            if written == len(tokens) - 1 or proposed != tokens[written]:
                break
            written += 1
        written, count = written + 1, count + 1
    return count


@pytest.mark.parametrize("batch_size", [1, 7])
def test_calls_pictures_and_tokens_are_what_they_have_to_be(
    asked: list[Request], batch_size: int
) -> None:
    vlm = load(batch_size=batch_size)
    counts = Counts.of(vlm.base, vlm.processor)
    got = {one.request: one for one in vlm.retrieve(asked)}
    after = [calls(vlm, request, got[request.id].text or "") for request in asked]
    lengths = [got[request.id].prompt_tokens for request in asked]
    assert counts.pictures == 6
    merged = vlm.base.config.vision_config.spatial_merge_size**2
    assert counts.patches == merged * sum(visual(got[request.id]) for request in asked[::4])
    reading = [places for rows, places in counts.passes if places > 30]
    assert sorted(reading) == sorted(lengths)  # each prompt once, and no padding
    assert counts.calls == len(asked) + (sum(after) if batch_size == 1 else max(after))


def visual(one: Retrieval) -> int:
    return int(one.details["visual_tokens"])


def test_drafts_save_more_than_half_of_the_calls(asked: list[Request]) -> None:
    engine, plain = load(batch_size=1), load(exact=True)
    counted = [Counts.of(vlm.base, vlm.processor) for vlm in (engine, plain)]
    texts = [{one.request: one.text for one in vlm.retrieve(asked)} for vlm in (engine, plain)]
    assert texts[0] == texts[1]
    assert counted[1].pictures == 6
    assert counted[0].calls <= 0.45 * counted[1].calls
    assert counted[1].patches > 2 * counted[0].patches  # of a dialogue's four queries, or three
