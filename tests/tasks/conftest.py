"""What the tests of tasks share."""

import pytest


@pytest.fixture(autouse=True)
def _no_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tester's own F2R_DATA is no part of a test."""
    monkeypatch.delenv("F2R_DATA", raising=False)
