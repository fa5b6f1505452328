"""Finding a checkpoint on this machine (or fetching it), and proving which one it was."""

import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

from f2rcli.tasks.datasets import SHIPPED, file_digest
from f2rcli.tasks.errors import InputError, cut

WANTED = ("*.json", "*.safetensors", "*.txt", "*.jinja", "*.model")
PICKLED = "pytorch_model.bin"
CODE = ("*.py",)


def find_checkpoint(
    name: str,
    needed: str = "config.json",
    *,
    option: str = "--model hf:",
    pickled: bool = False,
    fetch: bool = True,
    code: bool = False,
    release: str | None = None,
) -> Path:
    """The local folder of a checkpoint: a path, a hub id that is cached or (with `fetch`) can be
    fetched, or `package:NAME` for one that f2r brings along.

    Raises InputError if it is neither, is incomplete, or has its weights only as pickles, which may
    run code when they are loaded; `pickled` is for loaders that take nothing but tensors from them.
    With `code`, a checkpoint's own *.py files are fetched too. One that has a `release`
    is fetched from there by hand.
    """
    if name.startswith(SHIPPED):
        folder = Path(str(resources.files("f2rcli.adapters"))) / "checkpoints" / name[len(SHIPPED) :]
    else:
        folder = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's raises for an unknown user
    if folder.is_file():
        raise InputError("a file, not a checkpoint", where=name, fix="give the folder that it is in")
    if release and not folder.is_dir():
        raise InputError(
            f"no folder {name} here",
            fix=f"fetch the files of {release} into a folder of that name, or name yours by hf:PATH",
        )
    if not folder.is_dir():
        folder = _from_hub(name, option, pickled, fetch, CODE if code else ())
    if not (folder / needed).is_file():
        raise InputError(f"no {needed} in it: not a checkpoint", where=str(folder))
    if not _has_weights(folder, pickled):
        pickles = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
        what = "weights only as pickles, not as safetensors" if pickles else "no weights in it"
        raise InputError(what, where=str(folder), fix="f2r loads *.safetensors")
    for index in folder.glob("*.safetensors.index.json"):
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError("is no index of weights", where=str(index), fix="fetch it again") from None
        if lacking := sorted(shard for shard in shards if not (folder / shard).is_file()):
            raise InputError(
                f"incomplete: {', '.join(lacking)} missing", where=str(folder), fix="fetch it again"
            )
    return folder


def _has_weights(folder: Path, pickled: bool) -> bool:
    return any(folder.glob("*.safetensors")) or (pickled and (folder / PICKLED).is_file())


def _from_hub(name: str, option: str, pickled: bool, fetch: bool, more: tuple[str, ...]) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError

    missing = InputError(
        f"no checkpoint {name}: neither a folder nor in the hub cache {constants.HF_HUB_CACHE}",
        fix=f"`hf download {name}` fetches it where there is internet; a copy elsewhere is used with "
        f"{option}/path/to/folder",
    )
    if name.count("/") != 1 or name.startswith((".", "/", "~", SHIPPED)):
        raise InputError("no such folder", where=name)
    files = (*WANTED, *more)
    tries: list[tuple[bool, tuple[str, ...]]] = [(True, files)]
    if fetch:
        tries += [(False, files), (False, (*files, PICKLED))][: 1 + pickled]
    cached: Path | None = None
    for offline, wanted in tries:
        try:
            folder = snapshot_download(name, allow_patterns=list(wanted), local_files_only=offline)
        except HFValidationError:
            raise InputError("neither a folder nor a hub id", where=name) from None
        except Exception:  # not cached; then whatever a network can do wrong
            continue
        if _has_weights(Path(folder), pickled):
            cached = Path(folder)
            if not more or not offline or any(cached.glob(CODE[0])):
                return cached
    if cached:  # of an architecture that needs no code of its own, or there is no network
        return cached
    raise missing


def hush() -> None:
    """Lets transformers print neither bars nor warnings: what matters is an error of ours."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def unusable(what: str, error: Exception, folder: Path) -> InputError:
    """Of a part of a checkpoint what its reader, which may raise anything, says against it."""
    if "trust_remote_code" in str(error):
        return InputError(f"{what}: it needs code of its own, which f2r does not run", where=str(folder))
    return InputError(f"{what}: {cut(error)}", where=str(folder))


def check_weights(info: dict[str, Any], folder: Path) -> None:
    """Raises InputError for what transformers would fill with random numbers, by its loading info."""
    lacking = [*info["missing_keys"], *info["mismatched_keys"]]
    if not lacking:
        return
    first = min(lacking, key=str)
    if not isinstance(first, str):
        name, there, wanted = first
        sizes = [" × ".join(map(str, shape)) for shape in (there, wanted)]
        first = f"{name} ({sizes[0]}; config.json makes it {sizes[1]})"
    raise InputError(
        f"{len(lacking)} weights are missing or of another shape, such as {first}",
        where=str(folder),
        fix="fetch the checkpoint again, or check that config.json belongs to it",
    )


def folder_digest(folder: Path, *, deep: bool = False, code: bool = False) -> str:
    """SHA-256 over names and contents of what a checkpoint is loaded from (`deep`: also of what is in
    the folders in it; `code`: its own code included, as that is run)."""
    digest = hashlib.sha256()
    find = folder.rglob if deep else folder.glob
    wanted = (*WANTED, *CODE) if code else WANTED
    files = sorted({file for pattern in wanted for file in find(pattern)})
    if not any(folder.glob("*.safetensors")):
        files += sorted(find(PICKLED))
    for file in files:
        digest.update(f"{file.relative_to(folder).as_posix()} {file_digest(file)}\n".encode())
    return digest.hexdigest()


def provenance(folder: Path, *, code: bool = False) -> dict[str, Any]:
    return {"path": str(folder.resolve()), "digest": folder_digest(folder, code=code)}
