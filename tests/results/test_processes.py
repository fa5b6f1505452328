"""Which process this is, meeting the others, and which requests are whose."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from handmade import ROW
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import HashStore

from f2rcli.adapters.registry import ModelRow
from f2rcli.results.processes import Processes, launched
from f2rcli.tasks.errors import InputError
from f2rcli.tasks.types import Dialogue, Prompt, Query, Request, Utterance


def request(dialogue: int, turns: int, number: int) -> Request:
    said = tuple(Utterance(i, "甲", f"{dialogue} {i}") for i in range(turns))
    return Request(
        f"{dialogue}:{number}", Dialogue(str(dialogue), said), Query("?"), Prompt(None, "", ())
    )


def shares(requests: Sequence[Request], count: int) -> Iterator[list[str]]:
    for index in range(count):
        yield [one.id for one in Processes(index, count).share(requests)]


def test_a_share_by_hand() -> None:
    """Turns to read: dialogue 0 has 2 × 6, 1 has 10, 2 has 3 × 3, 3 has 4."""
    sizes = {0: (6, 2), 1: (10, 1), 2: (3, 3), 3: (4, 1)}
    asked = [request(d, turns, k) for d, (turns, queries) in sizes.items() for k in range(queries)]
    asked = asked[1:] + asked[:1]  # whose first query comes last
    # 12 | 10; then 9 to the second, 4 to the first
    assert list(shares(asked, 2)) == [["0:1", "3:0", "0:0"], ["1:0", "2:0", "2:1", "2:2"]]
    assert list(shares(asked, 1)) == [[one.id for one in asked]]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 4)), max_size=8),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_shares_are_whole_dialogues_and_even(sizes: list[Any], count: int, chance: Any) -> None:
    asked = [request(d, turns, k) for d, (turns, queries) in enumerate(sizes) for k in range(queries)]
    chance.shuffle(asked)
    found = list(shares(asked, count))
    assert sorted(name for share in found for name in share) == sorted(one.id for one in asked)
    order = [one.id for one in asked]
    loads, dialogues = [], []
    for share in found:
        assert share == sorted(share, key=order.index)
        dialogues += {name.split(":")[0] for name in share}
        loads.append(sum(sizes[int(name.split(":")[0])][0] for name in share))
    assert len(dialogues) == len(set(dialogues))
    assert max(loads) - min(loads) <= max((turns * n for turns, n in sizes), default=0)


def test_the_first_goes_first_and_one_has_the_last_word() -> None:
    store, order, words = HashStore(), [], []

    def one(index: int) -> None:
        processes = Processes(index, 3, store)
        with processes.first_goes_first():
            order.append(index)
        processes.wait()
        words.append(processes.has_last_word())

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(one, (2, 1, 0)))
    assert order[0] == 0
    assert sorted(words) == [False, False, True]
    assert [Processes().has_last_word() for _ in range(2)] == [True, True]


def test_what_gains_nothing_in_several_processes_is_refused() -> None:
    api = ModelRow("甲", "openai", "unknown")
    two = Processes(1, 2, HashStore())
    two.check([ROW], "cuda")
    Processes().check([api], "auto")
    with pytest.raises(InputError, match=r"甲 is behind an API.*--concurrency"):
        two.check([ROW, api], None)
    with pytest.raises(InputError, match="--device auto would spread each of 2 processes"):
        two.check([ROW], "auto")


def test_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's WORLD_SIZE alone is no launch of ours; nor is one without the others' place."""
    for name in ("LOCAL_RANK", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    find = launched.__wrapped__
    assert (find().index, find().count) == (0, 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(InputError, match=r"WORLD_SIZE is 2, but the others cannot be met: .*RANK"):
        find()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert (find().index, find().count) == (0, 1)


def test_without_a_launcher_neither_torch_nor_accelerate_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom f2rcli.main import main\ntry:\n    main()\n"
        "finally:\n    print(sorted({'torch', 'accelerate'} & set(sys.modules)), file=sys.stderr)"
    )
    words = ["eval", "-m", "bm25", "-t", "example", "--encoder", "none", "--quiet", "--out", tmp_path]
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "LOCAL_RANK"},
    )
    assert (ended.returncode, ended.stderr) == (0, "[]\n")
