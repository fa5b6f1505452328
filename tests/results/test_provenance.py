"""Where a number came from."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import f2rcli
from f2rcli.results import provenance

git_needed = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def git(folder: Path, *args: str) -> None:
    identity = [
        "-c",
        "user.name=测试",
        "-c",
        "user.email=test@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one committed file, which stands for the package."""
    folder = tmp_path / "代码"
    folder.mkdir()
    (folder / "provenance.py").write_text("first")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "第一次")
    monkeypatch.setattr(provenance, "__file__", str(folder / "provenance.py"))
    return folder


def head(folder: Path) -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@git_needed
def test_the_revision_is_the_commit_and_whether_it_was_edited(checkout: Path) -> None:
    assert provenance.revision() == head(checkout)
    (checkout / "provenance.py").write_text("second")
    assert provenance.revision() == head(checkout) + "+changes"
    git(checkout, "commit", "-q", "-a", "-m", "第二次")
    assert provenance.revision() == head(checkout)


@git_needed
def test_the_revision_is_of_f2r_and_not_of_what_the_shell_points_at(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
    monkeypatch.chdir(checkout.parent)
    expected = provenance.revision()
    monkeypatch.delenv("GIT_DIR")
    assert expected == head(checkout)


@git_needed
def test_an_installation_inside_somebodys_repository_has_no_revision(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """site-packages below a project's folder: that project's commit says nothing about f2r."""
    (checkout / "installed").mkdir()
    (checkout / "installed/provenance.py").touch()
    monkeypatch.setattr(provenance, "__file__", str(checkout / "installed/provenance.py"))
    assert provenance.revision() is None


def test_no_repository_or_no_git_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.revision() is None


def test_versions_are_those_of_what_is_installed() -> None:
    found = provenance.software()
    assert found["f2r"] == f2rcli.__version__
    assert found["python"] == platform.python_version()
    assert {"torch", "transformers", "bm25s"} <= found["packages"].keys()


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("click", "no-such-package-4711"))
    assert list(provenance.software()["packages"]) == ["click"]
