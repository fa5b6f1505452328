"""A report of two models over hostile chats."""

from pathlib import Path

import hostile
import pytest

from f2rcli.results.report.page import render_page
from f2rcli.results.report.sections import read_sections


@pytest.fixture
def page(tmp_path: Path) -> str:
    return render_page(*read_sections(hostile.write(tmp_path)))
