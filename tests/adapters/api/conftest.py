"""Models behind a server on this machine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault_server import FaultServer, serving

from f2rcli.adapters.api.model import ENDPOINTS, APIModel
from f2rcli.adapters.api.pacing import Patience

KEY = "sk-Gehe1m-0123456789"
QUICK = Patience(first=0.001, longest=0.01, timeout=0.8)
MakeModel = Callable[..., APIModel]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """It answers everything; a test gives it a plan."""
    with serving() as started:
        yield started


@pytest.fixture(params=["openai", "anthropic"])
def kind(request: pytest.FixtureRequest) -> str:
    """A test that takes it runs for both APIs."""
    return str(request.param)


@pytest.fixture
def make(server: FaultServer) -> MakeModel:
    """A model at the server: its kind, settings of its row, and keywords of APIModel."""

    def make(kind: str, row: dict[str, Any] | None = None, **keywords: Any) -> APIModel:
        url = server.url + ("/v1" if kind == "openai" else "")
        endpoint = ENDPOINTS[kind]({"model": "some-model", **(row or {})}, url)
        endpoint.unlock()
        keywords.setdefault("patience", QUICK)
        return APIModel("mine", endpoint, **keywords)

    return make
