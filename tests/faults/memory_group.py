"""A memory cgroup below this process's own, with a small limit: what is in it is killed by the kernel when it is full, and nobody else.

Needs root and cgroup v1, or a cgroup v2 whose memory controller is handed on; systemd's machines have `systemd-run` for that.
"""

import contextlib
import os
from pathlib import Path

from engine.host import CGROUPS, read_text
from tests.faults.bench import NotHere
from tests.patience import wait_until

LIMIT_FILES = ("memory.limit_in_bytes", "memory.max")


class MemoryGroup:
    """Use as a context; `join` puts the calling process in, for good."""

    def __init__(self, limit_bytes: int):
        """Raises NotHere where no such group can be made."""
        self.folder = _own_folder() / f"danlu-fault-{os.getpid()}"
        try:
            self.folder.mkdir()
            limit = next((self.folder / name for name in LIMIT_FILES if (self.folder / name).exists()), None)
            if limit is None:
                raise OSError("the memory controller is not handed on")
            limit.write_text(str(limit_bytes))
        except OSError as error:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
            raise NotHere(f"no memory cgroup can be made here ({error})") from None

    def __enter__(self) -> "MemoryGroup":
        return self

    def __exit__(self, *error: object) -> None:
        wait_until(self._is_gone, "the end of whoever is in the group")

    def join(self) -> None:
        """Of a process that is about to become another program."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self) -> int:
        """Of processes of this group by the kernel for want of memory."""
        text = read_text(self.folder / "memory.oom_control") or read_text(self.folder / "memory.events")
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)

    def _is_gone(self) -> bool:
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()


def _own_folder() -> Path:
    for line in read_text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return CGROUPS / "memory" / path.lstrip("/")
        if not controllers and (CGROUPS / "cgroup.controllers").exists():
            return CGROUPS / path.lstrip("/")
    raise NotHere("no cgroup with memory")
