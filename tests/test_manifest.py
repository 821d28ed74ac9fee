"""A saved folder is whole and verified, or it is not there."""

import errno
import os

import pytest

from engine import manifest
from engine.errors import EnvironmentFault, RunError


def save(run, step, content=b"weights" * 1000):
    write = lambda folder: (folder / "a.bin").write_bytes(content)  # noqa: E731
    return manifest.write_verified(run.checkpoint(step), write, len(content), {"step": step})


def test_what_was_saved_verifies(run_dir):
    """A fresh checkpoint has no fault."""
    save(run_dir, 1)

    assert manifest.find_fault(run_dir.checkpoint(1)) is None
    assert manifest.newest_verified(run_dir) == (run_dir.checkpoint(1), [])


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "manifest", "symlink"])
def test_damage_is_found_and_the_older_one_taken(run_dir, damage):
    """A damaged newest checkpoint is passed over with the reason."""
    save(run_dir, 1)
    save(run_dir, 2)
    victim = run_dir.checkpoint(2) / "a.bin"
    data = bytearray(victim.read_bytes())
    if damage == "flip":
        data[1234] ^= 1
        victim.write_bytes(data)
    elif damage == "truncate":
        victim.write_bytes(data[:-1])
    elif damage == "delete":
        victim.unlink()
    elif damage == "manifest":
        (run_dir.checkpoint(2) / "manifest.json").write_text("{}")
    else:
        (run_dir.path / "elsewhere").write_bytes(data)
        victim.unlink()
        victim.symlink_to(run_dir.path / "elsewhere")

    found, skipped = manifest.newest_verified(run_dir)

    assert found == run_dir.checkpoint(1)
    assert len(skipped) == 1
    assert skipped[0].startswith("checkpoint-2: ")


def test_no_checkpoint_that_verifies_is_an_error_not_a_restart(run_dir):
    """Silently training from the start again would lose the run."""
    save(run_dir, 1)
    (run_dir.checkpoint(1) / "a.bin").write_bytes(b"")

    with pytest.raises(RunError, match="no checkpoint verifies"):
        manifest.newest_verified(run_dir)


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
def test_a_refused_save_leaves_nothing_half(run_dir, monkeypatch, call):
    """Whatever the disk refuses, the older checkpoint stays and no temporary folder remains."""
    save(run_dir, 1)

    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(EnvironmentFault, match="No space left"):
            save(run_dir, 2)

    assert sorted(path.name for path in run_dir.path.iterdir()) == ["checkpoint-1"]
    assert manifest.find_fault(run_dir.checkpoint(1)) is None


def test_a_disk_without_room_is_noticed_before_writing(run_dir):
    """The message says how much is free and how much is needed."""
    with pytest.raises(EnvironmentFault, match=r"GiB free, .* GiB needed"):
        manifest.write_verified(run_dir.checkpoint(1), lambda folder: None, expected_bytes=1 << 60)


def test_rotation_keeps_two_verified_ones_at_least(run_dir):
    """A damaged folder neither counts as kept nor is deleted unseen."""
    for step in (1, 2, 3, 4):
        save(run_dir, step)
    (run_dir.checkpoint(4) / "a.bin").write_bytes(b"")

    manifest.rotate(run_dir, keep=2)

    assert [path.name for path in run_dir.checkpoints()] == ["checkpoint-4", "checkpoint-3", "checkpoint-2"]


def test_the_pinned_checkpoint_outlives_the_rotation(run_dir):
    """The best one stays however old it is."""
    for step in (1, 2, 3, 4, 5):
        save(run_dir, step)

    manifest.rotate(run_dir, keep=2, pinned=2)

    assert [path.name for path in run_dir.checkpoints()] == ["checkpoint-5", "checkpoint-4", "checkpoint-2"]


def test_a_checkpoint_under_another_name_is_not_taken(run_dir):
    """A copy of step 1 called checkpoint-9 would silently go back eight steps."""
    save(run_dir, 1)
    run_dir.checkpoint(1).rename(run_dir.checkpoint(9))
    save(run_dir, 2)

    found, skipped = manifest.newest_verified(run_dir)

    assert found == run_dir.checkpoint(2)
    assert skipped == ["checkpoint-9: was saved at step 1, under another name"]


def test_a_replaced_folder_is_never_missing(run_dir, monkeypatch):
    """When the second rename of a replacement is refused, the old folder stands where it was."""
    save(run_dir, 1, b"old")
    real, calls = os.rename, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", second_fails)
        with pytest.raises(EnvironmentFault, match="Input/output"):
            save(run_dir, 1, b"new")

    assert (run_dir.checkpoint(1) / "a.bin").read_bytes() == b"old"
    assert manifest.newest_verified(run_dir)[0] == run_dir.checkpoint(1)


def test_a_replacement_killed_half_way_is_put_back(run_dir):
    """The old folder was moved aside and the new one not yet there: the next start finds the old one."""
    save(run_dir, 1)
    run_dir.checkpoint(1).rename(run_dir.path / ".old-checkpoint-1")

    manifest.sweep(run_dir)

    assert manifest.newest_verified(run_dir) == (run_dir.checkpoint(1), [])


def test_leftovers_of_a_killed_save_are_swept(run_dir):
    """A temporary folder is no checkpoint and goes at the next start."""
    (run_dir.path / ".tmp-checkpoint-3-99").mkdir()

    manifest.sweep(run_dir)

    assert list(run_dir.path.iterdir()) == []
