"""Where a number came from: versions, revision, machine. Never the environment's variables."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import f2rcli

PACKAGES = (
    "accelerate",
    "anthropic",
    "bm25s",
    "numpy",
    "openai",
    "peft",
    "pillow",
    "safetensors",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "torchvision",
    "transformers",
)


def software() -> dict[str, Any]:
    """Versions of f2r, Python and the packages that answers depend on."""
    return {
        "f2r": f2rcli.__version__,
        "revision": revision(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def revision() -> str | None:
    """The git commit of the checkout that f2r runs from (`+changes` if edited); None if installed."""
    here = Path(__file__).resolve().parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        tracked = ["git", "ls-files", "--error-unmatch", Path(__file__).name]
        subprocess.run(tracked, cwd=here, env=environment, capture_output=True, check=True)
        commit, changes = (
            subprocess.run(
                command, cwd=here, env=environment, capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "")
