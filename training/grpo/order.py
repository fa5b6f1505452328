"""Which prompts a step asks, whatever became of the steps before it."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Order:
    """`prompts` of `total` a step, in their own order or, `shuffled`, in one of its own for each epoch.

    Every choice depends on the seed and its place alone, so that a resumed training makes it again, on
    any number of processes. The last step of an epoch takes what it lacks from the next one.
    """

    total: int
    prompts: int
    seed: int
    shuffled: bool

    def steps(self, epochs: int) -> int:
        return -(-self.total * epochs // self.prompts)

    def at(self, step: int, slot: int) -> int:
        """The prompt of a place in a step (both from 0)."""
        epoch, place = divmod(step * self.prompts + slot, self.total)
        if not self.shuffled:
            return place
        return Random(f"{self.seed} epoch {epoch}").sample(range(self.total), self.total)[place]

    def instead(self, step: int, slot: int, attempt: int) -> int:
        """Another prompt, any of them, for a place whose own is of no use."""
        return Random(f"{self.seed} step {step} {slot} again {attempt}").randrange(self.total)

    def draw_seed(self, step: int, slot: int, attempt: int) -> int:
        """For the sampling of a group's completions."""
        return Random(f"{self.seed} step {step} {slot} draw {attempt}").randrange(2**62)
