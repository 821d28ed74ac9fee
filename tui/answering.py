"""The console's end of a process that holds a trained model (`engine.answerer`): starts it, passes requests on, hands replies over.

It belongs to this process and ends with it: its stdin is a pipe from here. What is asked and said is `engine.answers`.
"""

import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine import answers
from engine.launch import PROJECT, engine_environment
from engine.run_directory import RunDirectory
from tui.texts import tr

GRACE_S = 5.0
"""Between the end of its input and its being killed: it may be in the middle of a layer."""
LAST_LINES = 3


class Answerer:
    """One process.  take: is given each reply, in a thread of its own; the last is always a `Refused` with id "" when the process ends
    by itself."""

    def __init__(self, run: RunDirectory, adapter: Path, take: Callable[[answers.Reply], None]):
        """Starts loading at once: `Ready` says when that is done. Raises OSError where no process can be started."""
        self._take = take
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - kept for what the process says last
        self._process = subprocess.Popen(
            [sys.executable, "-m", "engine.answerer", str(run.path.resolve()), str(adapter.resolve())],
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env=engine_environment(),
            start_new_session=True,  # ctrl+c is for whoever asks, who then gives the answer up and not the model
        )  # fmt: skip
        self._is_closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, prompt: str, **settings: object) -> str:
        """Ask for an answer and return the request's id. settings: as in `answers.Ask`."""
        return self._send(answers.Ask(id=uuid.uuid4().hex, prompt=prompt, **settings))  # pyright: ignore[reportArgumentType]

    def evaluate(self, **settings: object) -> str:
        """Ask how well the model does and return the request's id. settings: as in `answers.Evaluate`."""
        return self._send(answers.Evaluate(id=uuid.uuid4().hex, **settings))  # pyright: ignore[reportArgumentType]

    def halt(self, request: str) -> None:
        """Give up the request of that id; its answer is what there is so far."""
        self._write(answers.Halt(id=request))

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._is_closed = True
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._said.close()

    def _send(self, request: answers.Ask | answers.Evaluate) -> str:
        self._write(request)
        return request.id

    def _write(self, request: answers.Requests) -> None:
        """To a process that has ended nothing is said: its last word is on its way."""
        with suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(answers.encode(request))
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        was_told = False
        for line in self._process.stdout:
            if (reply := answers.decode_reply(line)) is not None:
                was_told = isinstance(reply, answers.Refused) and not reply.id
                self._take(reply)
        code = self._process.wait()
        if not self._is_closed and not was_told:
            self._take(answers.Refused(id="", reason=self._last_words(code)))

    def _last_words(self, code: int) -> str:
        """Why it has ended; one that was killed had no say in it."""
        if code == -signal.SIGKILL:
            return tr("cli.chat.killed", signal=-code)
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()[-LAST_LINES:]
        return tr("cli.chat.ended", code=code, words=" / ".join(lines) or "-")
