"""Baselines: what a run came to, small enough for a repository and without a word of its data."""

import json
import re
from pathlib import Path
from typing import Any

from f2rcli.results.outcomes import Outcome, Sample, Side
from f2rcli.results.provenance import software
from f2rcli.results.writing import replacing
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.scoring import PROTOCOLS
from f2rcli.tasks.types import digest

FORMAT = 1
MARK = "f2r_baseline"
COLUMNS = ["dialogue (its place in dialogues)", "question", "request", "prompt", *PROTOCOLS]
OUTCOME = ["joint F1", "exact", "TP, FP, FN, TN of utterances, then of images", "failures"]
_BEGINNING = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"f2r_baseline"')
_HEAD = ("name", "task", "protocol", "synthetic", "settings", "data", "images")


def write_baseline(side: Side, path: Path) -> None:
    """One line a request, so that a change of it reads well in a diff. Raises InputError for an
    unfinished run."""
    side.complete()
    dialogues = {name: i for i, name in enumerate(dict.fromkeys(s.dialogue for s in side.samples))}
    made_by = software()
    value: dict[str, Any] = {
        MARK: FORMAT,
        **{name: getattr(side, name) for name in _HEAD},
        "made_by": {name: made_by[name] for name in ("f2r", "revision")},
        "columns": [*COLUMNS[: -len(PROTOCOLS)], *({p: OUTCOME} for p in PROTOCOLS)],
        "dialogues": list(dialogues),
        "requests": [_row(sample, dialogues) for sample in side.samples],
    }
    value["digest"] = _digest(value)
    with replacing(path) as file:
        head = {name: found for name, found in value.items() if name not in ("requests", "digest")}
        file.write(json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}"))
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in value["requests"])
        file.write(f',\n "requests": [\n{rows}\n ],\n "digest": "{value["digest"]}"\n}}\n')


def _row(sample: Sample, dialogues: dict[str, int]) -> list[Any]:
    outcomes = [sample.outcomes[protocol] for protocol in PROTOCOLS]
    return [
        dialogues[sample.dialogue],
        sample.question,
        sample.request,
        sample.prompt,
        *([o.f1, o.exact, list(o.counts), list(o.failures)] for o in outcomes),
    ]


def is_baseline(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(_BEGINNING.match(file.read(200)))
    except OSError:
        return False


def read_baseline(path: Path) -> Side:
    """Raises InputError for one that is damaged, was edited, or is of another version's format."""
    remade = "make it again with `f2r baseline RUN -o FILE`"
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
        if value[MARK] != FORMAT:
            what = f"a baseline of format {value[MARK]}; this f2r reads format {FORMAT}"
            raise InputError(what, where=str(path), fix=remade)
        if value["digest"] != _digest(value):
            raise ValueError("its digest is not that of its content")
        dialogues = value["dialogues"]
        samples = [_sample(row, dialogues) for row in value["requests"]]
        head = {name: value[name] for name in _HEAD}
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise InputError(f"a damaged baseline ({error})", where=str(path), fix=remade) from None
    return Side(source=path, samples=samples, **head)


def _sample(row: list[Any], dialogues: list[str]) -> Sample:
    place, question, request, prompt, *judged = row
    outcomes = {
        protocol: Outcome(f1, exact, tuple(counts), tuple(failures))
        for protocol, (f1, exact, counts, failures) in zip(PROTOCOLS, judged, strict=True)
    }
    return Sample(dialogues[place], question, request, prompt, outcomes)


def _digest(value: dict[str, Any]) -> str:
    return digest({name: found for name, found in value.items() if name != "digest"})
