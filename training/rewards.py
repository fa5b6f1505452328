"""The rewards of a recipe: which, with what weights, and the vectors that they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from f2rcli.results.measuring import Progress, embedded
from f2rcli.results.selection import Selection
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.similarity import Vectors
from f2rcli.tasks.types import Request
from f2rcli.training import reward_formulas as formulas
from f2rcli.training.recipe import Decay, Text, load_part

Reward = Callable[[Sequence[str], Request, Vectors | None], list[float]]
REWARDS: dict[str, Reward] = {
    "f1": formulas.f1,
    "order_similarity": formulas.order_similarity,
    "format": formulas.format,
    "order_similarity_published": formulas.order_similarity_published,
    "mcc": formulas.mcc,
    "exact_match": formulas.exact_match,
}


@dataclass(frozen=True, slots=True)
class RewardWeights:
    """The table `rewards` of a recipe: how much of which reward. The release's: f1 1,
    order_similarity_published 1, format 0.3."""

    f1: Decay = 0
    order_similarity: Decay = 0
    format: Decay = 0
    order_similarity_published: Decay = 0
    mcc: Decay = 0
    exact_match: Decay = 0

    def complaint(self) -> str | None:
        return None if any(asdict(self).values()) else "rewards needs a weight above 0"


def load_rewards(config: str) -> tuple[RewardWeights, str | None]:
    """The rewards of a recipe, shipped or a file, and its encoder if it names one.

    Its other keys may be of any stage. Raises InputError naming the file and the key at fault.
    """
    weights = load_part(config, "rewards", RewardWeights)
    if weights is None:
        raise InputError("no table rewards in it", where=f"{config.removesuffix('.toml')}.toml")
    encoder: str | None = load_part(config, "encoder", Text)
    return weights, encoder


class Rewards:
    """The rewards with a weight above 0, and their weighted sum.

    Raises ValueError if one of them needs vectors and there are none.
    """

    def __init__(self, weights: Mapping[str, float], vectors: Vectors | None) -> None:
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.names = tuple(self.weights)
        self.vectors = vectors
        if vectors is None and self.needs_encoder(weights):
            raise ValueError("order similarity is of embeddings, and there are none")

    @staticmethod
    def needs_encoder(weights: Mapping[str, float]) -> bool:
        """Whether an order similarity is among them, which is of embeddings."""
        return any(weights.get(name) for name in ("order_similarity", "order_similarity_published"))

    def of(self, completions: Sequence[str], request: Request) -> dict[str, list[float]]:
        """Reward → one value a completion, without the weights."""
        return {name: REWARDS[name](completions, request, self.vectors) for name in self.names}

    def total(self, rewards: Mapping[str, Sequence[float]]) -> list[float]:
        """The weighted sum, one a completion."""
        weighted = ([self.weights[name] * value for value in rewards[name]] for name in self.names)
        return [sum(values) for values in zip(*weighted, strict=True)]


def vectors_for(
    weights: Mapping[str, float],
    selection: Selection,
    encoder: str | None = None,
    device: str | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Vectors | None:
    """What the rewards need of the selection's texts and pictures; None if none of them needs any.

    `encoder` defaults to that of the selection's task. Raises InputError where it or a picture is not
    there, and where the task has none.
    """
    if not Rewards.needs_encoder(weights):
        return None
    found = embedded(selection, encoder, device, on_progress)
    if found.vectors is None:
        raise InputError(
            f"order similarity is of embeddings, and no encoder is named for {found.task.name}",
            fix="name one: --encoder hf:PATH, or encoder in the recipe",
        )
    return found.vectors
