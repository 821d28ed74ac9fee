"""Where models come from: what is still to be fetched. Fetching itself needs a hub."""

from huggingface_hub.hf_api import BlobLfsInfo, RepoSibling

from engine.model_source import missing_bytes


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
