"""`danlu chat`: a run's model answers questions in the terminal, what it thinks dimmed; without a terminal a line is a question."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from engine import answers, events
from engine.errors import RunError
from engine.run_directory import open_run
from tui import gate, output
from tui.amounts import rate
from tui.asking import Asking
from tui.commands.console import RUNS_DIR
from tui.glyphs import ASCII, UNICODE
from tui.sentences import verdict
from tui.texts import tr
from tui.widgets.live_text import split_live

HELD_BACK = 12
"""Characters at the end of what is being generated that may be the beginning of a tag."""
DIM, PLAIN = "\x1b[2m", "\x1b[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("--base", action="store_true", help=tr("cli.option.chat_base"))
    parser.add_argument("--checkpoint", metavar="STEP", type=int, help=tr("cli.option.checkpoint_step"))
    parser.add_argument("--system", metavar="TEXT", help=tr("cli.option.system"))
    parser.add_argument("--max-new-tokens", metavar="N", type=_positive, help=tr("cli.option.max_new_tokens"))
    parser.add_argument("--temperature", metavar="T", type=_temperature, help=tr("cli.option.temperature"))
    parser.add_argument("--json", action="store_true", help=tr("cli.option.chat_json"))


def run(options: argparse.Namespace) -> int:
    """Answer until the questions end. Ctrl-C gives an answer up, Ctrl-D leaves."""
    asked = open_run(options.runs_dir or RUNS_DIR, options.run)
    with closing(Asking(asked, options.checkpoint)) as asking:
        chat = Chat(asking, asking.wait_until_ready(), options)
        if not sys.stdin.isatty() or options.json:
            return 0 if chat.answer_lines() else RunError.exit_code
        output.narrate(tr("cli.chat.hint"))
        chat.talk()
    return 0


class Chat:
    """Conversations with the model, and with its base where that is asked too."""

    def __init__(self, asking: Asking, ready: answers.Ready, options: argparse.Namespace):
        self._asking, self._as_json = asking, options.json
        self._opens = ready.thinking_style != "plain"
        self._settings = {"system": options.system, "max_new_tokens": options.max_new_tokens, "temperature": options.temperature}
        self._glyphs = ASCII if options.ascii else UNICODE
        self._with_base = options.base
        self._said: dict[bool, list[tuple[str, str]]] = {False: [], True: []}

    def talk(self) -> None:
        """Ask the person again and again."""
        with suppress(ImportError):
            import readline  # noqa: F401 - `input` then edits the line
        while True:
            try:
                prompt = input(f"\n{self._glyphs.current} ").strip()
            except KeyboardInterrupt:
                output.narrate("\n" + tr("cli.chat.leave"))
                continue
            except EOFError:
                output.narrate()
                return
            if prompt.startswith("/"):
                if prompt in ("/quit", "/exit"):
                    return
                self._obey(prompt)
            elif prompt:
                self._answer(prompt)

    def answer_lines(self) -> bool:
        """Every line of stdin is a question by itself: answers to stdout, thinking to stderr. False where one was not answered."""
        are_answered = True
        for line in sys.stdin:
            if prompt := line.strip():
                are_answered &= self._answer(prompt)
                self._forget()
        return are_answered

    def _obey(self, command: str) -> None:
        if command == "/new":
            self._forget()
            output.narrate(tr("cli.chat.new"))
        elif command == "/base":
            self._with_base = not self._with_base
            output.narrate(tr("cli.chat.with_base" if self._with_base else "cli.chat.without_base"))
        else:
            output.narrate(tr("cli.chat.help"))

    def _forget(self) -> None:
        for said in self._said.values():
            said.clear()

    def _answer(self, prompt: str) -> bool:
        """Of the base first, where that is asked too; what comes to nothing is told, and False."""
        for base in (True, False) if self._with_base else (False,):
            if self._with_base and not self._as_json:
                output.narrate(tr("cli.chat.base" if base else "cli.chat.tuned"))
            try:
                with _ctrl_c_halts(self._asking):
                    finished = self._one(prompt, base)
            except RunError as error:
                output.complain(gate.safe_lines(str(error)))
                return False
            self._said[base].append((prompt, finished.answer))
            if self._as_json:
                names = ("prompt", "thinking", "answer", "well_formed", "ended", "tokens", "tokens_per_s")
                output.show_json({"base": base} | {name: getattr(finished, name) for name in names})
            else:
                figures = tr("train.sample.tokens", n=finished.tokens, rate=rate(finished.tokens_per_s))
                output.narrate(_dim(f"{verdict(finished)} · {figures}"))
        return True

    def _one(self, prompt: str, base: bool) -> events.SampleFinished:
        """One answer, written as it comes."""
        writer = _Writer()

        def show(text: str) -> None:
            if not self._as_json:
                writer.write(*split_live(text[: _sure(text)], self._opens))

        finished = self._asking.ask(prompt, show, history=self._said[base], base=base, **self._settings)
        if not self._as_json:
            writer.write(finished.thinking, finished.answer)
            writer.end()
        return finished


class _Writer:
    """Writes what is new of thinking and answer: the one to stderr, dimmed, the other to stdout."""

    def __init__(self) -> None:
        self._thinking = self._answer = 0

    def write(self, thinking: str, answer: str) -> None:
        thinking, answer = thinking.lstrip(), answer.lstrip()
        if not self._answer and len(thinking) > self._thinking:
            print(_dim(gate.safe_lines(thinking[self._thinking :])), end="", file=sys.stderr, flush=True)
            self._thinking = len(thinking)
        if len(answer) > self._answer:
            if not self._answer and self._thinking:
                print("\n", file=sys.stderr, flush=True)
            print(gate.safe_lines(answer[self._answer :]), end="", flush=True)
            self._answer = len(answer)

    def end(self) -> None:
        print(file=sys.stdout if self._answer else sys.stderr, flush=True)


@contextmanager
def _ctrl_c_halts(asking: Asking) -> Iterator[None]:
    """Ctrl-C gives up the answer, and not the conversation."""
    before = signal.signal(signal.SIGINT, lambda *_: asking.halt())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _sure(text: str) -> int:
    """Characters that are no part of a tag that is being written."""
    start = text.rfind("<", max(0, len(text) - HELD_BACK))
    return start if start >= 0 and ">" not in text[start:] else len(text)


def _dim(text: str) -> str:
    return f"{DIM}{text}{PLAIN}" if text and sys.stderr.isatty() and not os.environ.get("NO_COLOR") else text


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(tr("cli.chat.positive", value=gate.safe(text)))
    return int(text)


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 5.0:
        raise argparse.ArgumentTypeError(tr("cli.chat.bad_temperature", value=gate.safe(text)))
    return value
