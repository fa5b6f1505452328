"""What a system's answers came to, request by request: one side of a comparison.

Requests are known by content, wherever they stand and whatever they are called.
"""

from dataclasses import astuple, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from f2rcli.tasks import tags
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import read_values
from f2rcli.tasks.merging import flat, is_slice, said
from f2rcli.tasks.predictions import (
    Prediction,
    contents_of,
    image_paths,
    parse_prediction,
    user_content,
)
from f2rcli.tasks.scoring import (
    JUDGES,
    MODALITIES,
    PROTOCOLS,
    SYNTHETIC,
    Protocol,
    Tally,
)
from f2rcli.tasks.types import UNANSWERED, digest


@dataclass(frozen=True, slots=True, order=True)
class Outcome:
    """One request under one protocol.

    `f1` is its own joint F1, as in the macro average; `counts` are TP, FP, FN, TN of its utterances,
    then of its images.
    """

    f1: float
    exact: bool
    counts: tuple[int, ...]
    failures: tuple[str, ...] = ()
    unasked: bool = False

    @property
    def answered(self) -> bool:
        return not self.unasked and not set(self.failures) & set(UNANSWERED)

    @classmethod
    def of(cls, prediction: Prediction, protocol: Protocol) -> "Outcome":
        verdict = JUDGES[protocol](prediction)
        alone = Tally(protocol)
        alone.add(verdict)
        counts = [n for modality in MODALITIES for n in astuple(verdict.counts(modality))]
        f1 = alone.scores("macro")["joint"]["f1"]
        return cls(f1, verdict.exact, tuple(counts), verdict.failures, prediction.unasked)


@dataclass(frozen=True, slots=True)
class Sample:
    """One request and its outcomes, without a word of it.

    Digests of its dialogue, of its question (dialogue and query), of the request (with gold) and of
    the text it was asked with. `shown` is its ID for `f2r show`, "" where there is nothing to show.
    """

    dialogue: str
    question: str
    request: str
    prompt: str
    outcomes: dict[Protocol, Outcome]
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """A run, a prediction file or a baseline.

    `settings` has a digest for everything that the answers depend on, `data` and `images` are a run's
    own digests; each is None where it is not known. A run under a `probe` has in `data` the digest of
    the requests that the probe changed.
    """

    name: str
    source: Path
    protocol: Protocol
    samples: list[Sample]
    task: str | None = None
    synthetic: bool = False
    settings: dict[str, str] | None = None
    data: str | None = None
    images: str | None = None
    probe: str = ""
    notes: tuple[str, ...] = ()

    @property
    def unasked(self) -> int:
        """How many requests were not asked before its run was ended."""
        return sum(sample.outcomes[self.protocol].unasked for sample in self.samples)

    def complete(self) -> "Side":
        """Itself. Raises InputError for an unfinished run, whose scores are not yet its model's."""
        if self.unasked:
            what = f"unfinished: {self.unasked} of {len(self.samples)} requests were not asked"
            raise InputError(what, where=str(self.source), fix="the command that began the run goes on")
        return self

    def named(self) -> dict[tuple[str, int], Sample]:
        """Samples by what `f2r show` calls them."""
        return {(sample.shown, 0): sample for sample in self.samples}

    def keyed(self) -> dict[tuple[str, int], Sample]:
        """Samples by request. Of a request that is there several times the worst outcome is the
        first, so that the order of lines makes no difference."""
        found: dict[tuple[str, int], Sample] = {}
        before, copies = "", 0
        for sample in sorted(
            self.samples, key=lambda s: (s.request, [s.outcomes[p] for p in PROTOCOLS])
        ):
            copies = copies + 1 if sample.request == before else 0
            before = sample.request
            found[before, copies] = sample
        return found


def short_digest(value: Any) -> str:
    """64 bits: among a million requests two meet once in 37 million sets."""
    return digest(value)[:16]


def side_of_file(path: Path) -> Side:
    """A prediction file of any tool. Raises InputError naming the line of the first unusable one."""
    samples: list[Sample] = []
    names: set[str] = set()
    synthetic = slices = 0
    for entry in read_values(path):
        try:
            prediction = parse_prediction(entry.value, "")
            name = prediction.id
            unique = name and name not in names and not name.startswith("-")
            shown = name if unique else f"@{entry.number}"
            samples.append(_sample(entry.value, prediction, shown))
        except InputError as error:
            raise error.at(entry.where) from None
        names.add(name)
        synthetic += SYNTHETIC in prediction.shares
        slices += is_slice(prediction.dialogue_id)
    if not samples:
        raise InputError("no predictions in it", where=str(path))
    side = Side(path.name, path, "published", samples, synthetic=synthetic == len(samples))
    notes = []
    if slices:
        notes.append(f"{path}: {slices} lines are slices; `f2r data merge` puts them together")
    if side.unasked:
        notes.append(f"{path}: {side.unasked} of {len(samples)} requests were not asked")
    return replace(side, notes=tuple(notes))


def _sample(line: dict[str, Any], prediction: Prediction, shown: str) -> Sample:
    dialogue, question, request = _keys(line, prediction)
    return Sample(
        dialogue,
        question,
        request,
        prompt=short_digest([contents_of(line, "system"), user_content(line)]),
        outcomes={protocol: Outcome.of(prediction, protocol) for protocol in PROTOCOLS},
        shown=shown,
    )


def request_key(line: dict[str, Any], prediction: Prediction) -> str:
    """What a request is known by in the prediction lines of any tool: dialogue, query and gold."""
    return _keys(line, prediction)[-1]


def _keys(line: dict[str, Any], prediction: Prediction) -> tuple[str, str, str]:
    """Digests of a line's dialogue, question and request; see `Sample`."""
    text = user_content(line)
    content = tags.parse_content(text)
    ours = line.get("f2r")
    query = ours.get("query") if isinstance(ours, dict) else None
    dialogue = short_digest([_turns(content) or flat(text), _picture_names(line)])
    question = short_digest([dialogue, flat(str(query or content.query or content.prompt.head))])
    gold = [sorted(prediction.gold.utterances), sorted(prediction.gold.images)]
    return dialogue, question, short_digest([question, gold])


def _turns(content: tags.Content) -> list[list[Any]]:
    """A dialogue's turns as every prompt has them: without white space, whichever colon was used.

    Of the last turn the first line counts: what comes after it may be the prompt's.
    """
    turns = [[u.id, said(u), len(u.images)] for u in content.utterances]
    if turns:
        last = content.utterances[-1]
        turns[-1][1] = said(replace(last, text=last.text.partition("\n")[0]))
    return turns


def _picture_names(line: dict[str, Any]) -> list[str]:
    """File names without folders, which are others on every machine."""
    return [PurePosixPath(path.replace("\\", "/")).name for path in image_paths(line)]
