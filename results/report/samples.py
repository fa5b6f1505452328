"""What the page's browser of samples shows, as one JSON object that is safe inside HTML."""

import json
import re
from pathlib import Path
from typing import Any

from f2rcli.results.lengths import length_of
from f2rcli.results.outcomes import Sample
from f2rcli.results.report.sections import Column, Section
from f2rcli.results.report.thumbnails import Thumbnails
from f2rcli.tasks import tags
from f2rcli.tasks.datasets import default_data_root
from f2rcli.tasks.images import ImageFolder
from f2rcli.tasks.predictions import image_order, image_paths, name_of, user_content
from f2rcli.tasks.scoring import JUDGES, Protocol
from f2rcli.tasks.types import Fragment

# What could end the script element or begin another, what JavaScript once took for the end of a line,
# and halves of characters, which UTF-8 cannot hold.
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def embedded_json(value: Any) -> str:
    """JSON that can stand in a `<script type="application/json">`, whatever its strings hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def page_data(sections: list[Section], data_root: Path | None = None) -> dict[str, Any]:
    """All samples of all sections, every dialogue and every distinct picture once."""
    thumbnails = Thumbnails()
    tasks = [_task(section, thumbnails, data_root or default_data_root()) for section in sections]
    return {"tasks": tasks, "pictures": thumbnails.pictures}


def _task(section: Section, thumbnails: Thumbnails, data_root: Path) -> dict[str, Any]:
    """Dialogues and samples of a section, in the order of its first column."""
    folders = _folders(section, data_root)
    keyed = [column.side.keyed() for column in section.columns]
    places = [
        {id(sample): place for place, sample in enumerate(column.side.samples)}
        for column in section.columns
    ]
    first = section.columns[0]
    dialogues: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}
    samples = []
    for key, sample in sorted(keyed[0].items(), key=lambda item: places[0][id(item[1])]):
        place = places[0][id(sample)]
        if sample.dialogue not in numbers:
            numbers[sample.dialogue] = len(dialogues)
            dialogues.append(_dialogue(first, place, thumbnails, folders))
        answers = []
        for column, known, order in zip(section.columns, keyed, places, strict=True):
            its = known[key]
            answers.append(_answer(column, order[id(its)], its, section.protocol))
        samples.append(
            {
                "id": name_of(first.lines[place], f"@{place}"),
                "dialogue": numbers[sample.dialogue],
                "query": _query(first.lines[place]),
                "gold": _ids(first.predictions[place].gold),
                "shares": first.predictions[place].shares,
                "answers": answers,
            }
        )
    return {
        "title": section.title,
        "models": [column.label for column in section.columns],
        "dialogues": dialogues,
        "samples": samples,
    }


def _folders(section: Section, data_root: Path) -> list[ImageFolder]:
    """Where pictures may be: as each run looked for them, beside a bare file, under the data root."""
    found = []
    for column in section.columns:
        if column.record is None:
            found.append(ImageFolder((column.side.source.parent,)))
        else:
            task = column.record["task"]
            recorded = tuple(Path(folder) for folder in task["image_folders"])
            found.append(ImageFolder(recorded, bool(task.get("allow_outside_images"))))
    return list(dict.fromkeys([*found, ImageFolder((data_root,))]))


def _dialogue(
    column: Column, place: int, thumbnails: Thumbnails, folders: list[ImageFolder]
) -> dict[str, Any]:
    """Turns as [id, speaker, text, image ids]; images as [path, place in `pictures` or why not]."""
    line = column.lines[place]
    content = tags.parse_content(user_content(line), order=image_order(line))
    return {
        "id": str(line.get("dialogue_id") or ""),
        "length": length_of(column.predictions[place]),
        "turns": [[u.id, u.speaker, u.text, list(u.images)] for u in content.utterances],
        "images": [[path, thumbnails.place(path, folders)] for path in image_paths(line)],
    }


def _query(line: dict[str, Any]) -> str:
    ours = line.get("f2r")
    known = ours.get("query") if isinstance(ours, dict) else None
    return str(tags.parse_content(user_content(line)).query or known or "(no query found)")


def _answer(column: Column, place: int, sample: Sample, protocol: Protocol) -> dict[str, Any]:
    """What one column said to one request; `raw` has one text a slice of a long dialogue."""
    prediction, outcome = column.predictions[place], sample.outcomes[protocol]
    verdict = JUDGES[protocol](prediction)
    ours = column.lines[place].get("f2r")
    told = (ours.get("failures") if isinstance(ours, dict) else None) or {}
    return {
        "found": _ids(verdict.predicted),
        "outside": _ids(verdict.out_of_range),
        "f1": outcome.f1,
        "exact": outcome.exact,
        "failures": [
            *[[kind, str(told.get(kind) or "")] for kind in outcome.failures],
            *([["not asked", ""]] if outcome.unasked else []),
        ],
        "raw": [answer.response for answer in prediction.answers],
    }


def _ids(fragment: Fragment) -> list[list[int]]:
    return [sorted(fragment.utterances), sorted(fragment.images)]
