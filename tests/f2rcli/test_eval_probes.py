"""f2r eval --probe: from the option to rows, run folders and what the other commands say of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import handmade
import pytest

from f2rcli.evaluate import command as evaluate_command
from f2rcli.tasks.probes import NEEDS

Run = Callable[..., Any]
PROBES = sorted(NEEDS)


def rows(out: str) -> dict[str, list[str]]:
    """Model → its numbers in the table."""
    found = {}
    for line in out.splitlines():
        cells = line.split()
        numbers = [cell for cell in cells if cell.replace(".", "").isdigit()]
        if len(numbers) >= 4:
            found[cells[0].rstrip(",")] = numbers
    return found


def folders(out: str) -> list[Path]:
    return [Path(line.removeprefix("run: ")) for line in out.splitlines() if line.startswith("run: ")]


def test_the_option_offers_every_probe() -> None:
    [option] = [option for option in evaluate_command.params if option.name == "probe"]
    assert list(getattr(option.type, "choices", ())) == list(NEEDS)


@pytest.mark.parametrize("probe", PROBES)
def test_reference_rows_and_bm25_under_every_probe(f2r: Run, small_mini: Path, probe: str) -> None:
    models = ("oracle", "everything", "bm25", "random")
    tasks = ("example", "mini-mldr", "mini-wechat")
    command = ("eval", "-m", *models, "-t", *tasks, "--limit", "15", "--encoder", "none", "--quiet")
    plain, probed = f2r(*command), f2r(*command, "--probe", probe)
    assert (probed.code, probed.err) == (0, "")
    numbers, before = rows(probed.out), rows(plain.out)
    assert list(numbers) == list(models)
    assert numbers["oracle"] == ["100.00"] * 12
    for model in ("everything", "bm25"):  # neither counts, looks, nor minds the order
        assert numbers[model] == before[model]
    assert f"bm25, probe {probe}" in probed.out
    assert probed.out.count("(synthetic)") == 2
    assert not set(folders(probed.out)) & set(folders(plain.out))
    assert ("a model that sees no pictures" in probed.out) == (probe in ("blank-images", "text-only"))
    both = f2r("table", "runs")
    assert list(rows(both.out)) == list(
        models
    )  # the rows with and without the probe, in the same columns
    assert both.out.count("probe " + probe) == len(models)
    assert both.out.count("micro average") == len(tasks)


def test_the_seed_draws_another_order(f2r: Run) -> None:
    command = ("eval", "-m", "nothing", "-t", "example", "--quiet", "--probe", "shuffle-turns", "--seed")
    runs = {folders(f2r(*command, seed).out)[0] for seed in "0011"}
    assert len(runs) == 2


def test_the_other_commands_name_the_probe(f2r: Run) -> None:
    command = ("eval", "-m", "oracle", "-t", "example", "--quiet")
    [plain] = folders(f2r(*command).out)
    [run] = folders(f2r(*command, "--probe", "shuffle-image-ids").out)
    assert run.name.startswith("oracle-shuffle-image-ids-")
    scored = f2r("score", run, run / "predictions.jsonl")
    assert scored.code == 0
    assert scored.err.splitlines() == [
        f"f2r: {path}: under the probe shuffle-image-ids" for path in (run, run / "predictions.jsonl")
    ]
    assert f2r("score", plain).err == ""
    shown, unprobed = (f2r("show", path, "周末聊天:0").out for path in (run, plain))
    assert shown.startswith("probe  shuffle-image-ids\nquery  ")
    pictures = [line.split("] ")[1] for line in shown.splitlines() if "[image " in line]
    assert pictures == [line.split("] ")[1] for line in unprobed.splitlines() if "[image " in line]
    ids = [line.split("[image ")[1][0] for line in shown.splitlines() if "[image " in line]
    assert sorted(ids) == list("012")
    assert all(image != str(place) for place, image in enumerate(ids))


def test_a_probe_that_would_change_nothing_is_wrong_usage(f2r: Run, tmp_path: Path) -> None:
    task = handmade.write_chats(tmp_path / "没有图片", handmade.chat(pictures=()))
    complaint = f2r("eval", "-m", "bm25", "-t", task, "--probe", "text-only").complaint()
    assert "text-only would change nothing: no dialogue has images" in complaint
    assert not Path("runs").exists()
