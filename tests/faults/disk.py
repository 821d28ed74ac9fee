"""Stands between this process and the disk: counts the calls that change it, lets them fail, or writes them down.

Calls of Python are seen, writes into files it opened among them; those inside native libraries as one each (safetensors writing a
file). Reads are not.
"""

import builtins
import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLS = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "write", "ftruncate")


@dataclass(frozen=True)
class Call:
    """name: of the os function, "open" for a file opened to be written, "save_file" for safetensors.  path, target: absolute."""

    name: str
    path: str
    target: str = ""


def _nothing(number: int, call: Call) -> None:
    pass


class Disk:
    """Use as a context. before: called with 1, 2, 3 … ahead of each call and may raise; after: when it has succeeded."""

    def __init__(self, before: Callable[[int, Call], None] = _nothing, after: Callable[[int, Call], None] = _nothing):
        self._before, self._after = before, after
        self.calls = 0
        self._busy = False

    @contextlib.contextmanager
    def watched(self) -> Iterator["Disk"]:
        """While the body runs, every call passes through here."""
        from engine import checkpoint

        real_open, real_save = builtins.open, checkpoint.save_file
        real = {name: getattr(os, name) for name in CALLS}
        for name in CALLS:
            setattr(os, name, self._wrapped(name, real[name]))
        builtins.open = io.open = self._open(real_open)  # type: ignore[assignment]
        checkpoint.save_file = lambda tensors, path, *rest: self._through(
            Call("save_file", _absolute(path)), real_save, tensors, path, *rest
        )
        try:
            yield self
        finally:
            for name in CALLS:
                setattr(os, name, real[name])
            builtins.open = io.open = real_open
            checkpoint.save_file = real_save

    def _wrapped(self, name: str, function: Callable) -> Callable:
        def watched(*arguments: Any, **options: Any) -> Any:
            return self._through(_call(name, arguments, options), function, *arguments, **options)

        return watched

    def _open(self, function: Callable) -> Callable:
        def watched(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if isinstance(file, int) or not set(mode) & set("wax+"):
                return function(file, mode, *arguments, **options)
            path = _absolute(file)
            opened = self._through(Call("open", path), function, file, mode, *arguments, **options)
            real_write = opened.write
            opened.write = lambda data: self._through(Call("write", path), real_write, data)
            return opened

        return watched

    def _through(self, call: Call, function: Callable, *arguments: Any, **options: Any) -> Any:
        if self._busy:  # what before and after do themselves
            return function(*arguments, **options)
        self.calls += 1
        self._told(self._before, call)
        result = function(*arguments, **options)
        self._told(self._after, call)
        return result

    def _told(self, whom: Callable[[int, Call], None], call: Call) -> None:
        self._busy = True
        try:
            whom(self.calls, call)
        finally:
            self._busy = False


@contextlib.contextmanager
def saves_through(disk: Disk) -> Iterator[None]:
    """While the body runs, the saves of every trainer in this process go through `disk`."""
    from engine import trainer

    real = trainer.save_checkpoint

    def save(*arguments: Any) -> Any:
        with disk.watched():
            return real(*arguments)

    trainer.save_checkpoint = save
    try:
        yield
    finally:
        trainer.save_checkpoint = real


def _call(name: str, arguments: tuple, options: dict) -> Call:
    if name in ("fsync", "write", "ftruncate"):
        return Call(name, os.readlink(f"/proc/self/fd/{arguments[0]}"))
    inside = options.get("dir_fd")
    path = _absolute(arguments[0]) if inside is None else os.path.join(os.readlink(f"/proc/self/fd/{inside}"), os.fspath(arguments[0]))
    return Call(name, path, _absolute(arguments[1]) if name in ("rename", "replace") else "")


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fspath(path if not isinstance(path, Path) else str(path)))
