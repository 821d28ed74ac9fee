"""Where models come from: what is still to be fetched, what a conversion leaves. Fetching itself needs a hub."""

import os
import subprocess
import sys

from huggingface_hub.hf_api import BlobLfsInfo, RepoSibling

from engine.config import Model
from engine.model_source import cache_folder, locate, missing_bytes


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path):
    """Whole and begun files count, each under its hash: a download that was broken off needs room only for its rest."""
    files = [
        RepoSibling("a.safetensors", size=100, blob_id="git-a", lfs=BlobLfsInfo(size=100, sha256="aaa", pointer_size=1)),
        RepoSibling("b.safetensors", size=50, blob_id="git-b", lfs=BlobLfsInfo(size=50, sha256="bbb", pointer_size=1)),
        RepoSibling("c.safetensors", size=7, blob_id="ccc"),
    ]
    (tmp_path / "aaa").write_bytes(b"x" * 100)
    (tmp_path / "bbb.0123.incomplete").write_bytes(b"x" * 20)

    assert missing_bytes(files, tmp_path) == 30 + 7
    assert missing_bytes(files, tmp_path / "none") == 157


def test_what_killed_conversions_left_is_removed_by_the_next_one(tmp_path, monkeypatch):
    """Half a gigabyte each; one that is at work is not touched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF")
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    convert = lambda source, folder, progress: (folder / "config.json").write_text("{}")  # noqa: E731
    target = locate(Model(name=str(gguf)), lambda *told: None, convert)
    left, at_work = (cache_folder() / f".{target.name}.{pid}" for pid in (killed.pid, os.getppid()))
    for folder in (left, at_work):
        folder.mkdir()
    (target / "config.json").unlink()
    target.rmdir()
    locate(Model(name=str(gguf)), lambda *told: None, convert)

    assert (target / "config.json").is_file() and at_work.is_dir() and not left.exists()
