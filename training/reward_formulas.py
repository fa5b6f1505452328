"""Rewards of completions, held against a request's gold fragment. Pure functions, no model, no files.

Formulas, and what is the release's and what is ours: docs/rewards.md. A reward is a function of a batch
of completions of one request (and of vectors, where it looks at embeddings), and gives one value each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from f2rcli.tasks import tags
from f2rcli.tasks.answers import is_id, strict_lists
from f2rcli.tasks.metrics import sample_metrics
from f2rcli.tasks.scoring import published_universe
from f2rcli.tasks.similarity import Embedded, Vectors, coherence
from f2rcli.tasks.types import Fragment, Request

LENGTH = 0.95  # what F1 is multiplied with for every id too many or too few
SINGLE = 0.5  # the order similarity of one element


@dataclass(frozen=True, slots=True)
class Lists:
    """A completion's two lists as they are written: in their order, repeated ids as often.

    Both are empty where the completion is not `strict`. Items that are no whole number (`1 2`) are left
    out, and the lists are not `readable`.
    """

    utterances: tuple[int, ...] = ()
    images: tuple[int, ...] = ()
    strict: bool = False
    readable: bool = False

    @classmethod
    def of(cls, completion: str) -> "Lists":
        lists = strict_lists(completion)
        if lists is None:
            return cls()
        utterances, images = (tuple(int(item) for item in items if is_id(item)) for items in lists)
        readable = all(is_id(item) for items in lists for item in items)
        return cls(utterances, images, strict=True, readable=readable)

    @property
    def fragment(self) -> Fragment:
        return Fragment(frozenset(self.utterances), frozenset(self.images))


def f1(completions: Sequence[str], request: Request, vectors: Vectors | None = None) -> list[float]:
    """F1 of both modalities, times 0.95 for every id too many or too few (F2RVLM, arXiv 2508.17714).

    From 0 to 1. Precision and recall divide by the lengths of the lists, in which repeated ids count;
    a modality that is empty on both sides scores 1. What is not strict or not readable scores 0.
    """
    gold = _gold(request)
    return [
        fmean([_f1(found.utterances, gold.utterances), _f1(found.images, gold.images)])
        if found.readable
        else 0.0
        for found in map(Lists.of, completions)
    ]


def _f1(predicted: Sequence[int], gold: frozenset[int]) -> float:
    if not predicted and not gold:
        return 1.0
    hits = len(gold.intersection(predicted))
    # the harmonic mean of hits / |predicted| and hits / |gold|
    return 2 * hits / (len(predicted) + len(gold)) * LENGTH ** abs(len(predicted) - len(gold))


def format(completions: Sequence[str], request: Request, vectors: Vectors | None = None) -> list[float]:
    """1 for exactly the asked form with no id twice in a list, else 0."""
    return [
        float(
            found.strict
            and len(set(found.utterances)) == len(found.utterances)
            and len(set(found.images)) == len(found.images)
        )
        for found in map(Lists.of, completions)
    ]


def order_similarity(
    completions: Sequence[str], request: Request, vectors: Vectors | None = None
) -> list[float]:
    """Mean cosine of the predicted fragment's adjacent elements, -1 to 1: its coherence. Mended.

    Gold is only looked at for being empty: both empty is 1, one of the two is 0; a completion that is
    not strict counts as empty. Ids that the dialogue lacks, and utterances without text, are no
    elements; no element at all is 0.

    Mended is that fragments of texts alone, and those of pictures alone, are worth their coherence. The
    release gives them 0 whatever they are, so that adding any picture pays. A single element is 0.5,
    as in the release: nothing is adjacent to it, so nothing is known. With 0 a right answer of one line
    would be paid for adding a second, with 1 any single line would be as good as a fragment can be.

    Raises ValueError without vectors.
    """
    return _order_similarity(completions, request, vectors, both=False)


def order_similarity_published(
    completions: Sequence[str], request: Request, vectors: Vectors | None = None
) -> list[float]:
    """As `order_similarity`, but 0 without an utterance and an image that the dialogue has."""
    return _order_similarity(completions, request, vectors, both=True)


def _order_similarity(
    completions: Sequence[str], request: Request, vectors: Vectors | None, *, both: bool
) -> list[float]:
    if vectors is None:
        raise ValueError("order similarity is of embeddings, and there are none")
    gold, everything = _gold(request), request.dialogue.everything
    dialogue = Embedded(request.dialogue, request.query.text, vectors)

    def one(predicted: Fragment) -> float:
        if not predicted.size or not gold.size:
            return float(predicted == gold)
        known = predicted & everything
        elements = dialogue.elements(known)
        if not elements or (both and not (known.utterances and known.images)):
            return 0.0
        value = coherence(elements)
        return SINGLE if value is None else value

    return [one(Lists.of(completion).fragment) for completion in completions]


def mcc(completions: Sequence[str], request: Request, vectors: Vectors | None = None) -> list[float]:
    """Mean MCC of the two modalities, -1 to 1, over the release's universe of ids (docs/protocols.md).

    A modality that is empty on both sides is 1, on one of them 0. Ids outside the universe are
    ignored. A completion that is not strict counts as empty.
    """
    gold, content = _gold(request), tags.render_content(request.prompt)
    utterances, images = (
        published_universe(max(map(int, tag.findall(content)), default=None))
        for tag in (tags.UTTERANCE_ID, tags.IMAGE_ID)
    )
    return [
        fmean(
            [
                _mcc(predicted.utterances, gold.utterances, utterances),
                _mcc(predicted.images, gold.images, images),
            ]
        )
        for predicted in (Lists.of(completion).fragment for completion in completions)
    ]


def _mcc(predicted: frozenset[int], gold: frozenset[int], universe: range) -> float:
    if not predicted or not gold:
        return float(predicted == gold)
    return sample_metrics(predicted, gold, universe).mcc


def exact_match(
    completions: Sequence[str], request: Request, vectors: Vectors | None = None
) -> list[float]:
    """1 where both lists are gold's ids in ascending order, each once; else 0."""
    gold = _gold(request)
    lists = tuple(sorted(gold.utterances)), tuple(sorted(gold.images))
    return [
        float(found.readable and (found.utterances, found.images) == lists)
        for found in map(Lists.of, completions)
    ]


def _gold(request: Request) -> Fragment:
    if request.gold is None:
        raise ValueError(f"request {request.id} has no gold")
    return request.gold
