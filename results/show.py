"""One dialogue in the terminal: what is gold, what was retrieved, what was missed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from f2rcli.results.runs import PREDICTIONS, RunFolder
from f2rcli.tasks import tags
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.jsonstream import Entry, read_values
from f2rcli.tasks.predictions import (
    image_order,
    image_paths,
    name_of,
    parse_prediction,
    user_content,
)
from f2rcli.tasks.scoring import JUDGES, Protocol, Verdict
from f2rcli.tasks.types import Dialogue, Fragment, Image
from f2rcli.tasks.visible import visible

MARKS = {
    (True, True): ("✓", "green", "gold and retrieved"),
    (True, False): ("○", "yellow", "gold but missed"),
    (False, True): ("✗", "red", "retrieved but not gold"),
    (False, False): (" ", "dim", ""),
}


def prediction_file(path: Path) -> Path:
    """The prediction file of a run folder, or the file itself."""
    if RunFolder.is_one(path):
        path = path / PREDICTIONS
    if not path.is_file():
        raise InputError("neither a run folder nor a prediction file", where=str(path))
    return path


def find_prediction(path: Path, wanted: str) -> dict[str, Any]:
    """The prediction line with this request id, or else at this place in the file (from 0).

    `@12` is always a place: ids of other tools need not be unique, and may be numbers.
    """
    known: list[str] = []
    by_place = None
    for entry in read_values(path):
        line = entry.value if isinstance(entry.value, dict) else {}
        known.append(name_of(line, str(entry.number)))
        if known[-1] == wanted or f"@{entry.number}" == wanted:
            return _showable(entry)
        if str(entry.number) == wanted:
            by_place = entry
    if by_place:
        return _showable(by_place)
    some = ", ".join(known[:5]) + (" …" if len(known) > 5 else "")
    raise InputError(f"no request {wanted!r}", where=str(path), fix=f"there are {some}")


def _showable(entry: Entry) -> dict[str, Any]:
    try:
        parse_prediction(entry.value, "")
        image_paths(entry.value)
    except InputError as error:
        raise error.at(entry.where) from None
    return dict(entry.value)


def show_prediction(line: dict[str, Any], protocol: Protocol, to: Console) -> None:
    """Dialogue, marks, counts, and the answer as the model wrote it."""
    prediction = parse_prediction(line, "")
    verdict = JUDGES[protocol](prediction)
    content = tags.parse_content(user_content(line), order=image_order(line))
    images = tuple(Image(i, path) for i, path in enumerate(image_paths(line)))
    dialogue = Dialogue(str(line.get("dialogue_id", "")), content.utterances, images)
    ours = line.get("f2r") if isinstance(line.get("f2r"), dict) else {}
    query = content.query or (ours or {}).get("query") or "(no query found)"
    if prediction.probe:
        to.print(Text.assemble(("probe  ", "bold"), visible(prediction.probe)), soft_wrap=True)
    to.print(Text.assemble(("query  ", "bold"), visible(str(query))), soft_wrap=True)
    for text in marked_lines(dialogue, verdict.gold, verdict.predicted):
        to.print(text, soft_wrap=True)
    why = (ours or {}).get("failures") or {}
    if prediction.unasked:
        to.print(Text("not asked: its run was ended before", "bold red"), soft_wrap=True)
    for text in _summary(verdict, prediction.response, why):
        to.print(text, soft_wrap=True)


def marked_lines(dialogue: Dialogue, gold: Fragment, retrieved: Fragment) -> Iterator[Text]:
    """One line an utterance and one a picture, each with its mark."""
    paths = {image.id: image.path for image in dialogue.images}
    for utterance in dialogue.utterances:
        mark, style, _ = MARKS[utterance.id in gold.utterances, utterance.id in retrieved.utterances]
        said = f"{mark} {utterance.id:>4} {utterance.speaker}: {utterance.text}"
        yield Text(visible(said), style)
        for image in utterance.images:
            mark, style, _ = MARKS[image in gold.images, image in retrieved.images]
            yield Text(visible(f"{mark}      [image {image}] {paths.get(image, '?')}"), style)


def _summary(verdict: Verdict, response: str, why: dict[str, str]) -> Iterator[Text]:
    legend = Text("       ")
    for mark, style, meaning in MARKS.values():
        if meaning:
            legend.append(f"{mark} {meaning}   ", style)
    yield legend
    hit = verdict.gold & verdict.predicted
    missed, extra = verdict.gold - verdict.predicted, verdict.predicted - verdict.gold
    for name in ("utterances", "images"):
        numbers = [len(getattr(side, name)) for side in (hit, missed, extra)]
        yield Text(f"{name}: {numbers[0]} found, {numbers[1]} missed, {numbers[2]} too many")
    if verdict.failures:
        told = (f"{kind} ({why[kind]})" if why.get(kind) else kind for kind in verdict.failures)
        yield Text(visible(f"failures: {', '.join(told)}"), "bold red")
    if verdict.out_of_range.size:
        yield Text(f"ids out of range: {tags.render_answer(verdict.out_of_range)}", "red")
    yield Text.assemble(("answer ", "bold"), visible(response) or "(none)")


def show_fragment(dialogue: Dialogue, fragment: Fragment, to: Console) -> None:
    """The retrieved utterances and pictures only."""
    for utterance in dialogue.utterances:
        if utterance.id in fragment.utterances:
            said = visible(f"{utterance.speaker}: {utterance.text}")
            to.print(f"{utterance.id:>4} {said}", soft_wrap=True)
        for image in utterance.images:
            if image in fragment.images:
                path = visible(dialogue.images[image].path)
                to.print(f"{utterance.id:>4} [image {image}] {path}", soft_wrap=True)
    if not fragment.size:
        to.print("nothing in this chat matches")
