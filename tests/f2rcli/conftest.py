"""Running commands: in this process where possible, in one of their own where it matters."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import handmade
import pytest
from fault_server import FaultServer, serving

from f2rcli.adapters.api import model as api_model
from f2rcli.adapters.api.pacing import Patience
from f2rcli.main import main
from f2rcli.tasks import datasets

EXAMPLE = Path(datasets.__file__).parent / "example/chats.json"


@dataclass(frozen=True)
class Ended:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    def complaint(self) -> str:
        """The one line of a command that could not be carried out."""
        assert self.code == 2, self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("f2r: ")
        assert self.err.endswith("\n")
        return self.err.removeprefix("f2r: ").rstrip("\n")


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working folder, and nothing of the tester's environment."""
    own = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY")
    for name in ("F2R_DATA", "FORCE_COLOR", "COLUMNS", *own):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "工作").mkdir()
    monkeypatch.chdir(tmp_path / "工作")


@pytest.fixture
def f2r(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `f2r ARGS…` in this process."""

    def run(*args: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["f2r", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, said.out, said.err)

    return run


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """A file of one chat with three queries."""
    return handmade.write_chats(tmp_path / "数据")


@pytest.fixture
def example() -> Path:
    """The chats that ship with the package."""
    return EXAMPLE


@pytest.fixture
def data_root(tmp_path: Path, golden: Path) -> Path:
    """A folder with a file in the place of MLDR's validation set: twelve long dialogues."""
    root = tmp_path / "官方数据"
    root.mkdir()
    (root / "MLDR_val.json").write_bytes((golden / "sliding/original.json").read_bytes())
    return root


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], str]:
    """A model of one's own, from the body of its `retrieve`; gives its name for --model."""

    def write(body: str) -> str:
        path = tmp_path / "模型.py"
        path.write_text(
            "import os\n\n"
            "from f2rcli.adapters.retriever import Retriever, found\n"
            "from f2rcli.tasks.types import Failure, Fragment, Retrieval\n\n"
            "class Own(Retriever):\n"
            "    uses_images = False\n\n"
            "    def retrieve(self, requests):\n"
            "        for i, request in enumerate(requests):\n"
            f"            {body}\n",
            encoding="utf-8",
        )
        return f"{path}:Own"

    return write


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """What a model behind an API is asked at; nobody waits long for it."""
    monkeypatch.setattr(api_model, "PATIENCE", Patience(attempts=3, first=0.001, timeout=0.3))
    with serving(says=lambda query: handmade.answer([2, 3])) as started:
        yield started


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Two chats of one dialogue each, three queries every one: six requests."""
    queries = [{f"{query}{k}": gold for query, gold in handmade.QUERIES.items()} for k in range(2)]
    chats = [handmade.chat(f"聊天{k}", queries=own, pictures=()) for k, own in enumerate(queries)]
    return handmade.write_chats(tmp_path / "数据", *chats)


@pytest.fixture
def command(server: FaultServer, few: Path) -> tuple[str | Path, ...]:
    """How to run the model `small` of that server on them."""
    url = f"{server.url}/v1"
    return ("eval", "-m", "openai:small", "--endpoint", url, "-t", few, "--encoder", "none", "--quiet")
