"""f2r score: the published scripts' numbers, from files and from run folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import official
import pytest
from handmade import answer, evaluated, lines, says, scores

Run = Callable[..., Any]
FILES = [f"predictions_{i}.jsonl" for i in range(6)]
PARTS = {"utterance": "sentence_metrics", "image": "image_metrics", "joint": "joint_metrics"}
METRICS = ("precision", "recall", "f1", "mcc")


@pytest.fixture
def expected(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "metrics/expected.json").read_text()))


def metrics(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {part: {metric: found[part][metric] for metric in METRICS} for part in PARTS}


def theirs(expected: dict[str, Any], prefix: str) -> dict[str, dict[str, float]]:
    return {
        part: {metric: expected[name][f"{prefix}_{metric}"] for metric in METRICS}
        for part, name in PARTS.items()
    }


@pytest.mark.parametrize("name", FILES)
def test_the_micro_average_is_the_published_scripts_to_its_four_decimals(
    f2r: Run, golden: Path, expected: dict[str, Any], name: str
) -> None:
    ended = f2r("score", golden / "metrics" / name, "--json", "-")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert found["samples"] == expected[name]["micro"]["num_samples"]
    assert (found["protocol"], found["average"]) == ("published", "micro")
    rounded = {part: {m: round(v, 4) for m, v in ms.items()} for part, ms in metrics(found).items()}
    assert rounded == theirs(expected[name]["micro"], "global")


@pytest.mark.parametrize("name", FILES)
def test_the_macro_average_is_the_published_scripts(
    f2r: Run, golden: Path, expected: dict[str, Any], name: str
) -> None:
    ended = f2r("score", golden / "metrics" / name, "--average", "macro", "--json", "-")
    found = json.loads(ended.out)
    assert found["average"] == "macro"
    assert metrics(found) == theirs(expected[name]["macro"], "avg")


def test_several_files_give_an_object_by_file(f2r: Run, golden: Path) -> None:
    paths = [golden / "metrics" / name for name in FILES[:2]]
    ended = f2r("score", *paths, "--json", "-")
    together = json.loads(ended.out)
    assert list(together) == list(map(str, paths))
    for path in paths:
        assert together[str(path)] == json.loads(f2r("score", path, "--json", "-").out)


def test_the_object_has_every_promised_key(f2r: Run, golden: Path) -> None:
    found = json.loads(f2r("score", golden / "metrics" / FILES[0], "--json", "-").out)
    keys = "protocol average samples coverage utterance image joint relevance coherence failures"
    assert {*keys.split(), "out_of_range_ids"} <= found.keys()
    assert list(found["failures"]) == ["error", "refused", "truncated", "malformed"]
    assert found["coverage"] == 1.0


def test_json_goes_to_a_file_beside_the_printed_table(f2r: Run, golden: Path) -> None:
    path = golden / "metrics" / FILES[0]
    ended = f2r("score", path, "--json", "分数.json", "--protocol", "strict")
    assert ended.code == 0
    assert "strict protocol" in ended.out
    stored = json.loads(Path("分数.json").read_text(encoding="utf-8"))
    assert stored == json.loads(f2r("score", path, "--json", "-", "--protocol", "strict").out)
    assert f"{100 * stored['joint']['f1']:.2f}" in ended.out


def test_a_run_folder_is_scored_by_its_tasks_protocol_unless_told(
    f2r: Run, chats: Path, tmp_path: Path
) -> None:
    run = evaluated(says("答：" + answer([2, 3], [0])), chats, tmp_path / "运行")
    stored = scores(run)
    assert json.loads(f2r("score", run.path, "--json", "-").out) == stored["strict"]
    published = f2r("score", run.path, "--json", "-", "--protocol", "published")
    assert json.loads(published.out) == stored["published"]
    bare = f2r("score", run.path / "predictions.jsonl", "--json", "-")
    assert json.loads(bare.out) == stored["published"]


def test_a_run_folders_files_are_made_again(f2r: Run, chats: Path, tmp_path: Path) -> None:
    run = evaluated(says(answer([2])), chats, tmp_path / "运行")
    names = ("predictions.jsonl", "scores.json")
    before = [(run.path / name).read_bytes() for name in names]
    (run.path / "predictions.jsonl").unlink()
    (run.path / "scores.json").write_text("damaged")
    assert f2r("score", run.path).code == 0
    assert [(run.path / name).read_bytes() for name in names] == before


def test_a_run_whose_data_has_changed_is_scored_as_it_was(f2r: Run, chats: Path, tmp_path: Path) -> None:
    run = evaluated(says(answer()), chats, tmp_path / "运行")
    chats.write_text(chats.read_text(encoding="utf-8").replace("[7]", "[8]"), encoding="utf-8")
    ended = f2r("score", run.path)
    assert ended.code == 0
    assert "scored from predictions.jsonl as it is" in ended.err
    assert "changed" in ended.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"response": None}, "response is null"),
        ({"response": ...}, "response is missing"),
        ({"labels": ...}, "labels is missing"),
        ({"labels": "[1]"}, "labels"),
        ({"messages": []}, "no user message"),
        ({"f2r": {"failures": {"late": ""}}}, "f2r.failures"),
    ],
)
def test_a_line_that_cannot_be_scored_is_named_and_never_skipped(
    f2r: Run, golden: Path, change: dict[str, Any], said: str
) -> None:
    read = lines(golden / "metrics" / FILES[0])[:4]
    read[2] = {k: v for k, v in {**read[2], **change}.items() if v is not ...}
    Path("预测.jsonl").write_text("\n".join(json.dumps(line) for line in read))
    ended = f2r("score", "预测.jsonl")
    assert ended.complaint().startswith("预测.jsonl:3 (record 2): ")
    assert said in ended.err
    assert ended.out == ""


def test_slices_that_were_not_merged_are_scored_with_a_warning(f2r: Run, golden: Path) -> None:
    ended = f2r("score", golden / "sliding/slice_predictions.jsonl", "--json", "-")
    assert ended.code == 0
    assert json.loads(ended.out)["samples"] == 36
    [line] = ended.err.splitlines()
    assert "f2r data merge" in line


def test_one_bad_file_among_several_prints_nothing(f2r: Run, golden: Path) -> None:
    Path("空.jsonl").touch()
    ended = f2r("score", golden / "metrics" / FILES[0], "空.jsonl", "--json", "-")
    assert "空.jsonl" in ended.complaint()
    assert ended.out == ""


@pytest.fixture
def shared() -> Path:
    """Three predictions for one dialogue of three turns and a picture, with shares."""
    turns = ("user1: 你好", f"user2: 看 {official.PICTURE}", "user1: 再见")
    both = official.answer([1], [0])
    return official.write(
        Path("预测.jsonl"),
        official.line(*turns, response=both, labels=both, f2r={"shares": ["synthetic", "zh"]}),
        official.line(
            *turns, response=official.answer([1, 2]), labels=both, f2r={"shares": ["synthetic", "en"]}
        ),
        official.line(*turns, f2r={"shares": ["synthetic", "zh", "nothing"]}),
    )


def test_shares_are_a_table_of_their_own(f2r: Run, shared: Path) -> None:
    ended = f2r("score", shared, "--shares", "--protocol", "strict")
    assert (ended.code, ended.err) == (0, "")
    scores_of, shares = ended.out.split("\n\n")
    assert scores_of + "\n" == f2r("score", shared, "--protocol", "strict").out
    assert "预测.jsonl: 3 samples, synthetic, strict protocol, micro average" in scores_of
    found = {line.split()[0]: line.split()[1:] for line in shares.splitlines()[1:]}
    assert list(found) == ["synthetic", "zh", "en", "nothing"]
    assert found["zh"] == ["2", *["100.00"] * 7]
    # Utterances: TP 1, FP 1, TN 1: P 1/2, R 1, F1 2/3, MCC 1 / √(2 · 1 · 2 · 1) = 1/2; image: FN 1.
    assert found["en"] == ["1", "25.00", "50.00", "33.33", "25.00", "66.67", "0.00", "0.00"]
    assert found["nothing"] == ["1", *["0.00"] * 6, "100.00"]  # no true positive, yet exact
    assert (found["synthetic"][0], found["synthetic"][-1]) == ("3", "66.67")


def test_shares_are_in_the_json_too(f2r: Run, shared: Path) -> None:
    ended = f2r("score", shared, "--shares", "--json", "-", "--protocol", "strict")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    shares = found.pop("shares")
    assert found == json.loads(f2r("score", shared, "--json", "-", "--protocol", "strict").out)
    assert found["synthetic"] is True
    assert {share: part.pop("exact") for share, part in shares.items()} == pytest.approx(
        {"synthetic": 2 / 3, "zh": 1, "en": 0, "nothing": 1}
    )
    assert shares["synthetic"] == found
    assert shares["en"]["joint"]["f1"] == pytest.approx(1 / 3)
    assert {share: part["samples"] for share, part in shares.items()} == {
        "synthetic": 3,
        "zh": 2,
        "en": 1,
        "nothing": 1,
    }


def test_shares_go_by_the_average_and_the_files(f2r: Run, shared: Path, golden: Path) -> None:
    plain = golden / "metrics" / FILES[0]
    ended = f2r("score", shared, plain, "--shares", "--average", "macro", "--json", "分数.json")
    assert ended.code == 0
    assert ended.err == f"f2r: {plain}: its data names no shares\n"
    stored = json.loads(Path("分数.json").read_text(encoding="utf-8"))
    assert {part["average"] for part in stored[str(shared)]["shares"].values()} == {"macro"}
    assert stored[str(plain)]["shares"] == {}
    assert "synthetic" not in stored[str(plain)]
    assert ended.out.count("utterance F1") == 1


def test_data_without_shares_says_so(f2r: Run, golden: Path) -> None:
    path = golden / "metrics" / FILES[0]
    ended = f2r("score", path, "--shares")
    assert (ended.code, ended.err) == (0, f"f2r: {path}: its data names no shares\n")
    assert ended.out == f2r("score", path).out
    assert "synthetic" not in ended.out


def test_a_run_on_a_mini_set_is_scored_by_its_shares(f2r: Run, small_mini: Path) -> None:
    command = ("eval", "-m", "oracle", "-t", "mini-wechat", "--encoder", "none", "--quiet")
    assert f2r(*command).code == 0
    [run] = Path("runs/mini-wechat").iterdir()
    ended = f2r("score", run, "--shares")
    assert (ended.code, ended.err) == (0, "")
    found = {line.split()[0]: line.split()[1:] for line in ended.out.split("\n\n")[1].splitlines()[1:]}
    assert {share: cells[0] for share, cells in found.items() if share not in ("en", "zh")} == {
        "synthetic": "20",
        "no-overlap": "7",
        "overlap": "6",
        "picture-only": "4",
        "unseen-topic": "4",
        "nothing": "3",
    }
    assert {cells[-1] for cells in found.values()} == {"100.00"}
