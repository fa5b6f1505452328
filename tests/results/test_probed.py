"""Runs under a probe: kept apart, resumed, rebuilt, and shown as what they are."""

import json
from pathlib import Path
from typing import Any

import handmade
import pytest
from handmade import Scripted, answer, evaluated, lines, says, scores
from short_chats import picture

from f2rcli.adapters.registry import ModelRow
from f2rcli.results.evaluate import rebuild
from f2rcli.results.selection import Selection
from f2rcli.results.tables import build_table
from f2rcli.tasks.datasets import Task, load_task
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.images import open_image
from f2rcli.tasks.probes import HIDING, NEEDS, SEEDED, Probe
from f2rcli.tasks.tags import render_answer
from f2rcli.tasks.types import Fragment, Request

PROBES = sorted(NEEDS)
BLIND = ModelRow("看不见", "python", "own", settings={"file": __file__, "class": "Blind"})


def gold(request: Request) -> str:
    return render_answer(request.gold or Fragment())


def oracle(**attributes: Any) -> Scripted:
    return Scripted(gold, sees_gold=True, **attributes)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """A chat with two real pictures and three queries, and one without pictures."""
    plain = handmade.chat("没有图片", pictures=(), queries={"第3句": [3]})
    path = handmade.write_chats(tmp_path / "数据", handmade.chat(), plain)
    for number, size in ((3, (56, 30)), (7, (20, 56))):
        picture(path.parent / f"图片/{number}.png", number, size)
    return path


def identity(chats: Path, probe: Probe | None) -> dict[str, Any]:
    selection = Selection.of(load_task(str(chats)), None, 0, probe).with_images()
    return {**selection.identity(), "images": selection.images_digest()}


def test_digests_change_where_what_is_asked_does(chats: Path) -> None:
    plain = identity(chats, None)
    changed = {}
    for name in PROBES:
        probed = identity(chats, Probe(name))
        changed[name] = {key for key in plain if probed[key] != plain[key]}
    assert changed == {
        "blank-images": {"images"},
        "shuffle-image-ids": {"data", "prompts"},
        "shuffle-turns": {"data", "prompts"},
        "text-only": {"prompts", "images"},
    }
    assert "probe" not in plain


@pytest.mark.parametrize("uses_images", [True, False])
def test_every_probe_is_a_run_of_its_own_and_resumes(chats: Path, out: Path, uses_images: bool) -> None:
    runs = {
        probe: evaluated(says(answer([2]), uses_images=uses_images), chats, out, probe=probe)
        for probe in (None, *map(Probe, PROBES))
    }
    assert len({run.path for run in runs.values()}) == 5
    for probe, run in runs.items():
        again = says(answer([3]), uses_images=uses_images)
        assert evaluated(again, chats, out, probe=probe).path == run.path
        assert again.asked == []
        recorded = run.record()["probe"]
        assert recorded is None if probe is None else recorded["name"] in run.path.name


def test_the_seed_makes_another_run_where_something_is_drawn(chats: Path, out: Path) -> None:
    for name in PROBES:
        paths = {evaluated(says(answer()), chats, out, probe=Probe(name, s)).path for s in (0, 1)}
        assert len(paths) == (2 if name in SEEDED else 1)


def test_run_json_and_predictions_say_what_was_done(chats: Path, out: Path) -> None:
    plain = evaluated(says(answer(), uses_images=True), chats, out)
    probe = Probe("shuffle-image-ids", 4)
    run = evaluated(says(answer(), uses_images=True), chats, out, probe=probe)
    origin = plain.record()["identity"]["data"]
    recorded = {"name": "shuffle-image-ids", "seed": 4, "origin": origin, "changed": 3}
    assert run.record()["probe"] == recorded
    requests = list(load_task(str(chats)).requests())
    said = [line["f2r"] for line in lines(run.path / "predictions.jsonl")]
    assert [(line["probe"], line["origin"]) for line in said] == [
        (probe.name, r.digest) for r in requests
    ]
    assert [line.get("image_order") for line in said] == [[1, 0]] * 3 + [None]
    for line in lines(plain.path / "predictions.jsonl"):
        assert not {"probe", "origin", "image_order"} & set(line["f2r"])


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("max_turns", [None, 100, 7])
def test_the_gold_answer_is_right_under_every_probe_also_in_slices(
    tmp_path: Path, out: Path, name: str, max_turns: int | None
) -> None:
    queries = {"前后": [1, 2, 60, 129], "图片": [3, 7, 90], "没有": []}
    chat = handmade.chat(turns=130, queries=queries, pictures=(3, 7, 55, 90, 91))
    task = handmade.write_chats(tmp_path / "长", chat)
    run = evaluated(oracle(max_turns=max_turns), task, out, probe=Probe(name))
    for protocol in ("published", "strict"):
        assert scores(run)[protocol]["joint"]["f1"] == 1
        assert scores(run)[protocol]["out_of_range_ids"] == 0
    if max_turns:
        asked = lines(run.path / "answers.jsonl")
        assert len(asked) == 3 * -(-130 // max_turns)


@pytest.mark.parametrize("name", PROBES)
def test_a_rebuilt_run_is_the_same_byte_for_byte(chats: Path, out: Path, name: str) -> None:
    run = evaluated(says(answer([1, 2], [0])), chats, out, probe=Probe(name, 2), limit=3)
    names = ("predictions.jsonl", "scores.json")
    before = [(run.path / file).read_bytes() for file in names]
    for file in names:
        (run.path / file).unlink()
    assert rebuild(run).reason is None
    assert [(run.path / file).read_bytes() for file in names] == before


def test_a_model_is_asked_what_the_probe_made(chats: Path, out: Path) -> None:
    seen: dict[str, Request] = {}
    for name in PROBES:
        retriever = says(answer(), uses_images=True)
        evaluated(retriever, chats, out, probe=Probe(name))
        seen[name] = retriever.asked[0]
    files = {name: [image.file for image in asked.dialogue.images] for name, asked in seen.items()}
    originals = [str((chats.parent / f"图片/{n}.png").resolve()) for n in (3, 7)]
    assert files["shuffle-image-ids"] == originals[::-1]
    assert sorted(map(str, files["shuffle-turns"])) == sorted(originals)
    assert files["text-only"] == [None, None]
    grey = [open_image(str(file)) for file in files["blank-images"]]
    assert [image.size for image in grey] == [(56, 30), (20, 56)]
    assert all(image.getcolors() == [(image.width * image.height, (128,) * 3)] for image in grey)


def test_text_alone_needs_no_pictures(chats: Path, out: Path) -> None:
    for file in (chats.parent / "图片").iterdir():
        file.unlink()
    evaluated(says(answer(), uses_images=True), chats, out, probe=Probe("text-only"))
    with pytest.raises(InputError, match="no such image"):
        evaluated(says(answer(), uses_images=True), chats, out, probe=Probe("blank-images"))


@pytest.mark.parametrize(
    ("name", "turns", "pictures", "needs"),
    [
        ("blank-images", 5, (), "images"),
        ("text-only", 5, (), "images"),
        ("shuffle-image-ids", 5, (2,), "at least 2 images"),
        ("shuffle-turns", 1, (), "at least 2 utterances"),
    ],
)
def test_a_probe_that_would_change_nothing_is_refused(
    tmp_path: Path, out: Path, name: str, turns: int, pictures: tuple[int, ...], needs: str
) -> None:
    chat = handmade.chat(turns=turns, pictures=pictures, queries={"什么": [0]})
    task = handmade.write_chats(tmp_path, chat)
    with pytest.raises(InputError) as caught:
        evaluated(says(answer()), task, out, probe=Probe(name))
    assert str(caught.value) == (
        f"{task}: {name} would change nothing: no dialogue has {needs}; evaluate it without --probe"
    )
    assert not out.exists()


def test_a_limit_chooses_the_same_requests_as_without_a_probe(chats: Path) -> None:
    task = load_task(str(chats))
    for seed in range(4):
        plain = Selection.of(task, 2, seed)
        probed = Selection.of(task, 2, seed, Probe("shuffle-turns"))
        assert [r.origin for r in probed.requests] == [r.digest for r in plain.requests]


def test_a_probe_is_a_row_of_its_own_in_the_column_of_its_task(chats: Path, out: Path) -> None:
    runs = [
        evaluated(says(answer([2]), uses_images=sees), chats, out, row=row, probe=probe)
        for row, sees in ((handmade.ROW, True), (BLIND, False))
        for probe in (None, *map(Probe, PROBES), Probe("shuffle-turns", 1))
    ]
    table = build_table(runs)
    assert list(table.tasks) == ["聊天"]
    names = [f"手写 模型, probe {name}" for name in PROBES]
    own = ["手写 模型", *names, "手写 模型, probe shuffle-turns seed 1"]
    assert [row.model for row in table.rows] == [*own, *(n.replace("手写 模型", "看不见") for n in own)]
    for run, row in zip(runs, table.rows, strict=True):
        assert row.scores == {"聊天": scores(run)["strict"]}
    note, *about = table.notes
    assert note.startswith("probe: ")
    needed = "3 of 4 requests, those whose dialogues have"
    assert set(about) == {
        f"blank-images on 聊天 changed {needed} images",
        f"text-only on 聊天 changed {needed} images",
        f"shuffle-image-ids on 聊天 changed {needed} at least 2 images",
        *(f"{n} changes nothing for a model that sees no pictures: 看不见 on 聊天" for n in HIDING),
    }


def test_a_table_without_probes_says_nothing_of_them(chats: Path, out: Path) -> None:
    assert build_table([evaluated(says(answer()), chats, out)]).notes == []


def real(chats: Path) -> Task:
    loaded = load_task(str(chats))
    return Task("mldr", "", "published", loaded.path, loaded.images, named=True)


def test_published_numbers_do_not_stand_beside_a_probe(chats: Path, out: Path) -> None:
    probed = evaluated(says(answer()), real(chats), out, probe=Probe("shuffle-turns"))
    assert {row.kind for row in build_table([probed]).rows} == {"run"}
    plain = evaluated(says(answer()), real(chats), out)
    kinds = [row.kind for row in build_table([plain, probed]).rows]
    assert kinds[:2] == ["run", "run"]
    assert set(kinds[2:]) == {"published"}


@pytest.mark.parametrize(
    "change", [{"name": "shuffle"}, {"origin": None}, {"seed": "0"}, {"changed": []}]
)
def test_a_damaged_record_of_a_probe_is_named(chats: Path, out: Path, change: dict[str, Any]) -> None:
    run = evaluated(says(answer()), chats, out, probe=Probe("shuffle-turns"))
    path = run.path / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["probe"] |= change
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="not a run's record"):
        run.record()


def test_a_run_from_before_there_were_probes_is_read(chats: Path, out: Path) -> None:
    run = evaluated(says(answer()), chats, out)
    path = run.path / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["probe"]
    path.write_text(json.dumps(record), encoding="utf-8")
    assert rebuild(run).reason is None
    again = says(answer())
    assert evaluated(again, chats, out).path == run.path
    assert again.asked == []
    assert [row.model for row in build_table([run]).rows] == ["手写 模型"]
