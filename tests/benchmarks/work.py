"""What answering takes, in work and seconds. It needs no f2r: ms-swift's environment has none."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Texts = list[str | None]


@dataclass
class Work:
    """Pictures preprocessed and patches through the vision tower, a number a call; and of every pass
    through the language model its rows, whether it is a prompt's (nothing is cached yet), its tokens and
    its padding. (Lists: a thread may add to one while another does.)"""

    pictures: list[int] = field(default_factory=list)
    patches: list[int] = field(default_factory=list)
    passes: list[tuple[int, bool, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, base: Any, images: Any) -> "Work":
        """Counts that go up with what a Qwen2-VL and its image processor do from now on."""
        work = cls()

        def on_words(_: Any, __: Any, given: dict[str, Any]) -> None:
            rows, places, _ = given["inputs_embeds"].shape
            padding = _padding(given.get("attention_mask"), places)
            cache = given.get("past_key_values")
            begins = cache is None or cache.get_seq_length() == 0
            work.passes.append((rows, begins, rows * places - padding, padding))

        def on_tower(_: Any, args: Any, given: dict[str, Any]) -> None:
            work.patches.append(len(args[0] if args else given["hidden_states"]))

        def preprocess(*args: Any, **given: Any) -> Any:
            made = before(*args, **given)
            work.pictures.append(len(made["image_grid_thw"]))
            return made

        base.model.language_model.register_forward_pre_hook(on_words, with_kwargs=True)
        base.model.visual.register_forward_pre_hook(on_tower, with_kwargs=True)
        before, images.preprocess = images.preprocess, preprocess
        return work

    def clear(self) -> None:
        for each in (self.pictures, self.patches, self.passes):
            each.clear()

    def figures(self, answers: int) -> dict[str, float]:
        """By name, of 100 requests where the name says nothing else."""
        assert self.pictures or not self.patches, "pictures are preprocessed by something else"
        prompts = [one for one in self.passes if one[1]]
        tokens, padding = sum(one[2] for one in prompts), sum(one[3] for one in prompts)
        later = sum(one[2] + one[3] for one in self.passes if not one[1])
        counted = {
            "pictures preprocessed": sum(self.pictures),
            "patches through the vision tower": sum(self.patches),
            "prompt tokens through the language model": tokens,
            "places of answers through it": later,
            "calls of it": len(self.passes),
        }
        return {name: count * 100 / answers for name, count in counted.items()} | {
            "calls of it that an answer takes part in": sum(one[0] for one in self.passes) / answers,
            "padding of prompts, %": 100 * padding / (tokens + padding),
        }


def _padding(mask: Any, places: int) -> int:
    """Places of a pass at which the mask does not even let them look at themselves."""
    if isinstance(mask, dict):
        mask = mask["full_attention"]
    if mask is None:
        return 0
    own = mask[:, -places:]  # rows × all places so far
    if mask.ndim == 4:  # rows × 1 × places × all places so far, True or a bias of 0 where one may look
        own = mask[:, 0, :, -places:].diagonal(dim1=1, dim2=2)
        own = own if not own.is_floating_point() else own == 0
    return int(own.numel() - own.count_nonzero())


@dataclass
class Side:
    """Something that answers requests, given their numbers; its answers in the last round, counts and
    seconds of all."""

    name: str
    answer: Callable[[Sequence[int]], Texts]
    work: Work = field(default_factory=Work)
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    answers: Texts = field(default_factory=list)
    counted: list[dict[str, float]] = field(default_factory=list)

    def warm_up(self, numbers: Sequence[int]) -> None:
        self.take(numbers)
        self.cpu, self.wall, self.counted = [], [], []

    def take(self, numbers: Sequence[int]) -> None:
        self.work.clear()
        cpu, wall = time.process_time(), time.perf_counter()
        self.answers = self.answer(numbers)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        self.counted.append(self.work.figures(len(numbers)))

    def figures(self) -> dict[str, float]:
        """Medians of the rounds, of 100 requests."""
        share = 100 / len(self.answers)
        seconds = {
            "CPU seconds": statistics.median(self.cpu) * share,
            "wall seconds": statistics.median(self.wall) * share,
        }
        return {
            name: statistics.median(counted[name] for counted in self.counted)
            for name in self.counted[0]
        } | seconds
