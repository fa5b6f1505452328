"""What each part of the engine wins, one after another, and bytes for pixels: `make bench`.

The cases and counts are those of engine.py; every step has what the steps before it have, but for the
padded batches, which were given up for prompts that are read by themselves.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import PIL.Image
import torch
from engine import ASKED, FEW, LIMIT, find_case
from sides import Case
from work import Side, Texts, Work

from f2rcli.adapters.registry import Settings
from f2rcli.adapters.vlm import VLM
from f2rcli.adapters.vlm.engine.greedy import no_draft
from f2rcli.adapters.vlm.pictures import Pictures
from f2rcli.adapters.vlm.pixels import RAW
from f2rcli.adapters.vlm.processor import MAX_PIXELS

SHOWN = ("vision tower", "reading prompts", "writing answers")
PHOTO = (1600, 1200)
ROUNDS = 3


def exact(vlm: VLM) -> None:
    vlm.engine.vision, vlm.engine.drafts, vlm.batch_size = None, False, 1


def pictures_once(vlm: VLM) -> None:
    vlm.engine.drafts, vlm.batch_size = False, 1


def padded_batches(vlm: VLM) -> None:
    vlm.engine.drafts = False


def batches(vlm: VLM) -> None:
    vlm._draft = lambda request: no_draft  # type: ignore[method-assign]


def drafts(vlm: VLM) -> None:
    pass


STEPS: dict[str, Callable[[VLM], None]] = {
    "plainly (`--exact`)": exact,
    "pictures once a dialogue": pictures_once,
    "… in padded batches, by `generate`": padded_batches,
    "… prompts by themselves, answers in batches": batches,
    "… and drafted": drafts,
}


def side(case: Case, name: str) -> Side:
    vlm = VLM.load(case.row, case.settings)
    STEPS[name](vlm)

    def answer(numbers: Sequence[int]) -> Texts:
        asked = [case.requests[number].without_gold() for number in numbers]
        texts = {one.request: one.text for one in vlm.retrieve(asked)}
        return [texts[request.id] for request in asked]

    return Side(name, answer, Work.of(vlm.base, vlm.processor.image_processor))


def measure(name: str, case: Case, rounds: int) -> None:
    numbers = range(len(case.requests))
    sides = [side(case, step) for step in STEPS]
    for one in sides:
        one.warm_up(numbers[:FEW])
    for _ in range(rounds):
        for one in sides:
            one.take(numbers)
    print(f"\n### {name}: {len(numbers)} requests\n")
    print("| CPU seconds of 100 requests | calls | " + " | ".join(SHOWN) + " | all |")
    print("| --- |" + " ---: |" * 5)
    for one in sides:
        figures = one.figures()
        seconds = [figures[f"CPU seconds, {phase}"] for phase in SHOWN] + [figures["CPU seconds"]]
        shown = " | ".join(f"{value:.1f}" for value in seconds)
        print(f"| {one.name} | {figures['calls of it']:,.0f} | {shown} |")
    print(f"\nanswers are equal: {all(one.answers == sides[0].answers for one in sides)}", flush=True)


def pixels(case: Case) -> None:
    """A photo made ready at the release's limit of pixels: as floats, and as bytes and then floats."""
    vlm = VLM.load(case.row, replace(case.settings, max_pixels=MAX_PIXELS))
    processor = vlm.processor
    processor.image_processor.size = {"shortest_edge": 3136, "longest_edge": MAX_PIXELS}
    pictures: Pictures = vlm.inputs.pictures
    photo = PIL.Image.effect_noise(PHOTO, 60).convert("RGB")
    assert pictures.pixels

    def seconds(make: Callable[[], object]) -> float:
        taken = []
        for _ in range(7):
            begun = time.thread_time()
            make()
            taken.append(time.thread_time() - begun)
        return statistics.median(taken) * 1000

    kept = pictures.make(photo, others=False).tensors["pixel_values"]
    floats = pictures.values(kept)
    whole = seconds(lambda: pictures._call([photo]))
    raw = seconds(lambda: pictures.make(photo, others=False))
    table = seconds(lambda: pictures.values(kept))
    assert torch.equal(floats, pictures._call([photo])[0]["pixel_values"])
    print(f"\nA photo of {PHOTO[0]} × {PHOTO[1]} at {MAX_PIXELS:,} pixels ({RAW}):")
    print(f"floats by the processor: {whole:.0f} ms, {floats.nbytes / 1e6:.1f} MB")
    print(f"bytes: {raw:.0f} ms, {kept.nbytes / 1e6:.1f} MB; then floats by the table: {table:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", choices=ASKED, default=list(ASKED))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(dtype="float32", batch_size=8, max_new_tokens=LIMIT)
    for name in options.case:
        with tempfile.TemporaryDirectory() as made:
            case = find_case(name, settings, ASKED[name], Path(made))
            measure(name, case, options.rounds)
    pixels(find_case("mini-mldr", settings, 1, Path()))


if __name__ == "__main__":
    main()
