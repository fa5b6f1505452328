"""Finding checkpoints, and proving which one it was."""

import json
import shutil
from importlib import resources
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from f2rcli.adapters.checkpoints import find_checkpoint, folder_digest, provenance
from f2rcli.tasks.errors import InputError


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache on a machine that is offline."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


def refused(name: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        find_checkpoint(str(name))
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_folder_is_used_as_it_is(tiny_qwen2_vl: Path) -> None:
    assert find_checkpoint(str(tiny_qwen2_vl)) == tiny_qwen2_vl


def test_a_checkpoint_that_f2r_brings_along(
    tiny_qwen2_vl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/nano").symlink_to(tiny_qwen2_vl)
    monkeypatch.setattr(resources, "files", {"f2rcli.adapters": tmp_path}.get)
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("package:nano") == tmp_path / "checkpoints/nano"
    (tmp_path / "checkpoints/nano").unlink()
    assert refused("package:nano") == "package:nano: no such folder"


@pytest.mark.parametrize("name", ["package:nano", "package:a/b", "package:", "package:a/b/c"])
def test_what_f2r_does_not_bring_along_is_not_looked_for_elsewhere(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(resources, "files", {"f2rcli.adapters": tmp_path}.get)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    assert refused(name) == f"{name}: no such folder"


@pytest.mark.parametrize("name", ["没有", "./没有/这个", "/no/such/folder", "a/b/c", "~/no such folder"])
def test_a_folder_that_is_not_there_is_named(hub: Path, name: str) -> None:
    line = refused(name)
    assert line.startswith(name)
    assert "no such folder" in line


def test_a_name_that_no_hub_id_can_be(hub: Path) -> None:
    line = refused("模型 权重/七亿")
    assert line.startswith("模型 权重/七亿")
    assert "neither a folder nor a hub id" in line


def test_an_uncached_hub_id_offline_says_how_to_get_it(hub: Path) -> None:
    line = refused("Qwen/Qwen2-VL-7B-Instruct")
    assert "hf download Qwen/Qwen2-VL-7B-Instruct" in line
    assert str(hub) in line


def cached(hub: Path, checkpoint: Path, name: str) -> Path:
    """`checkpoint` as the hub's own tools would have left it in the cache."""
    entry = hub / f"models--{name.replace('/', '--')}"
    revision = "0123456789abcdef0123456789abcdef01234567"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text(revision)
    return Path(shutil.copytree(checkpoint, entry / "snapshots" / revision))


def test_a_checkpoint_that_is_released_as_files_says_where(
    hub: Path, tiny_qwen2_vl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no folder 权重 here.*https://example.org/权重/"):
        find_checkpoint("权重", release="https://example.org/权重/")
    (tmp_path / "权重").symlink_to(tiny_qwen2_vl)
    assert find_checkpoint("权重", release="https://example.org/权重/") == Path("权重")


def test_a_cached_hub_id_is_found_offline(hub: Path, tiny_qwen2_vl: Path) -> None:
    snapshot = cached(hub, tiny_qwen2_vl, "someone/tiny-vl")
    assert find_checkpoint("someone/tiny-vl") == snapshot
    assert folder_digest(snapshot) == folder_digest(tiny_qwen2_vl)


def test_a_cache_without_the_weights_is_named(hub: Path, tiny_qwen2_vl: Path) -> None:
    snapshot = cached(hub, tiny_qwen2_vl, "someone/tiny-vl")
    (snapshot / "model.safetensors").unlink()
    assert "`hf download someone/tiny-vl` fetches it" in refused("someone/tiny-vl")


def test_a_folder_without_a_config_is_no_checkpoint(spoilt: Path) -> None:
    (spoilt / "config.json").unlink()
    assert refused(spoilt) == f"{spoilt}: no config.json in it: not a checkpoint"


@pytest.mark.parametrize("suffix", ["bin", "pt", "pth"])
def test_pickles_are_refused(spoilt: Path, suffix: str) -> None:
    (spoilt / "model.safetensors").rename(spoilt / f"pytorch_model.{suffix}")
    line = refused(spoilt)
    assert "weights only as pickles" in line
    assert "*.safetensors" in line


def test_no_weights_at_all(spoilt: Path) -> None:
    (spoilt / "model.safetensors").unlink()
    assert "no weights in it" in refused(spoilt)


def test_missing_shards_are_named(spoilt: Path) -> None:
    (spoilt / "model.safetensors").rename(spoilt / "model-00001-of-00003.safetensors")
    shards = {f"layer{n}": f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)}
    index = spoilt / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    line = refused(spoilt)
    assert "model-00002-of-00003.safetensors, model-00003-of-00003.safetensors missing" in line
    assert "00001" not in line
    for n in (2, 3):
        (spoilt / shards[f"layer{n}"]).write_bytes(b"")
    assert find_checkpoint(str(spoilt)) == spoilt


@pytest.mark.parametrize("text", ['{"weight_map": {"a', "{}", "[]"])
def test_an_index_that_cannot_be_read_is_named(spoilt: Path, text: str) -> None:
    (spoilt / "model.safetensors.index.json").write_text(text)
    assert str(spoilt) in refused(spoilt)


def test_the_digest_is_of_names_and_contents(spoilt: Path, tiny_qwen2_vl: Path) -> None:
    digests = {folder_digest(spoilt)}
    assert digests == {folder_digest(tiny_qwen2_vl)}  # where the folder is does not matter
    for name in ("model.safetensors", "config.json", "chat_template.jinja", "tokenizer.json"):
        file = spoilt / name
        content = file.read_bytes()
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        digests.add(folder_digest(spoilt))
        file.write_bytes(content)
    (spoilt / "generation_config.json").rename(spoilt / "generation.json")
    digests.add(folder_digest(spoilt))
    assert len(digests) == 6  # the sound one, a byte in each of four files, and the new name


def test_what_is_not_loaded_does_not_change_the_digest(spoilt: Path) -> None:
    before = folder_digest(spoilt)
    (spoilt / "optimizer.pt").write_bytes(b"1234")
    (spoilt / "README.md").write_text("自述", encoding="utf-8")
    assert folder_digest(spoilt) == before


def test_provenance_is_a_path_and_a_digest(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(spoilt.parent)
    assert provenance(Path(spoilt.name)) == {
        "path": str(spoilt.resolve()),
        "digest": folder_digest(spoilt),
    }


def test_a_cached_checkpoint_is_found_without_fetching(
    hub: Path, tiny_qwen2_vl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def download(name: str, *, local_files_only: bool, **options: object) -> str:
        asked.append(local_files_only)
        raise OSError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for fetch, pickled in ((False, True), (True, False), (True, True)):
        with pytest.raises(InputError):
            find_checkpoint("someone/tiny", fetch=fetch, pickled=pickled)
    assert asked == [True, True, False, True, False, False]
