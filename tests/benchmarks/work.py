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
    its padding. `seconds` are of the CPU, in each phase. (Lists: a thread may add to one while another
    does.)"""

    pictures: list[int] = field(default_factory=list)
    patches: list[int] = field(default_factory=list)
    passes: list[tuple[int, bool, int, int]] = field(default_factory=list)
    seconds: list[tuple[str, float]] = field(default_factory=list)

    @classmethod
    def of(cls, base: Any, images: Any) -> "Work":
        """Counts that go up with what a Qwen2-VL and its image processor do from now on."""
        work = cls()
        begun: list[float] = []

        def enter(*_: Any) -> None:
            begun.append(time.thread_time())

        def leave_tower(*_: Any) -> None:
            work.seconds.append(("vision tower", time.thread_time() - begun.pop()))

        def leave_words(*_: Any) -> None:
            phase = "reading prompts" if work.passes[-1][1] else "writing answers"
            work.seconds.append((phase, time.thread_time() - begun.pop()))

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
        parts = ((base.model.language_model, leave_words), (base.model.visual, leave_tower))
        for module, leave in parts:
            module.register_forward_pre_hook(enter)
            module.register_forward_hook(leave)
        return work

    def clear(self) -> None:
        for each in (self.pictures, self.patches, self.passes, self.seconds):
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

    def phases(self, answers: int) -> dict[str, float]:
        """CPU seconds in each part of the model, of 100 requests."""
        totals = dict.fromkeys(("vision tower", "reading prompts", "writing answers"), 0.0)
        for phase, seconds in self.seconds:
            totals[phase] += seconds
        return {f"CPU seconds, {phase}": total * 100 / answers for phase, total in totals.items()}


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
    phases: list[dict[str, float]] = field(default_factory=list)

    def warm_up(self, numbers: Sequence[int]) -> None:
        self.take(numbers)
        self.cpu, self.wall, self.counted, self.phases = [], [], [], []

    def take(self, numbers: Sequence[int]) -> None:
        self.work.clear()
        cpu, wall = time.process_time(), time.perf_counter()
        self.answers = self.answer(numbers)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        self.counted.append(self.work.figures(len(numbers)))
        self.phases.append(self.work.phases(len(numbers)))

    def figures(self) -> dict[str, float]:
        """Medians of the rounds, of 100 requests."""
        share = 100 / len(self.answers)
        seconds = {
            "CPU seconds": statistics.median(self.cpu) * share,
            "wall seconds": statistics.median(self.wall) * share,
        }
        rounds = [counted | phases for counted, phases in zip(self.counted, self.phases, strict=True)]
        return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]} | seconds
