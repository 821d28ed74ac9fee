"""A run as plain lines, where there is no terminal for the live screen: phases, some of the steps, samples in short, the end.

`Narrator` turns events into lines, `watch` follows a run with it until the run ends or the user leaves. Lines are
narration (stderr); the folder of the finished model is the result (stdout).
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine import events
from engine.engine_log import EXPLAINING, last_lines, without_stacks
from engine.launch import send
from engine.run_directory import RunDirectory
from tui import amounts, gate, states
from tui.columns import columns, terminal_width
from tui.fold import RunState, fold
from tui.follow import LIVE_POLL_S, Follower
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.output import narrate, show
from tui.sentences import phase_text, plan_text, sentence
from tui.summary import reference
from tui.texts import tr

STEP_LINES = 50
"""About so many lines of steps a run, evenly spread; slow runs get more."""
SILENCE_S = 60.0
"""After so long without a line the next step gets one, whatever its number."""
PROGRESS_EVERY_S = 10.0
INDENT = " " * len("00:00:00 · ")
INTERRUPTED = 130
TAIL_LINES = 8


class Narrator:
    """Folds a run's events and says which lines each deserves."""

    def __init__(self, run: RunDirectory, glyphs: Glyphs = UNICODE):
        self.run = run
        self.state = RunState()
        self._glyphs = glyphs
        self._losses: list[float] = []
        self._line_time = 0.0

    def take(self, event: events.Event | events.Unknown) -> list[str]:
        """Fold `event` and return the lines to print, [] for most events."""
        phase_before = self.state.phase.name if self.state.phase else ""
        logged_before = self.state.num_logged
        fold(self.state, event)
        if isinstance(event, events.Step):
            return self._step(event)
        if isinstance(event, events.Phase) and event.name == phase_before:
            return self._progress(event)
        if isinstance(event, events.EngineStopped) or self.state.num_logged == logged_before:
            return []
        news = sentence(self.state.log[-1])
        lines = [self._line(event.time, getattr(self._glyphs, news.glyph), news.text)]
        return lines + _sample(event) if isinstance(event, events.SampleFinished) else lines

    def standing(self) -> list[str]:
        """Where the run is, for one who has just come: what it trains on, how, how far."""
        known = [item for item in (self.state.data, self.state.plan, self.state.last_eval) if item is not None]
        lines = [self._line(item.time, self._glyphs.note, _told(item)) for item in known]
        if self.state.step is not None:
            self._losses.append(self.state.step.loss)
            lines.append(self._step_line(self.state.step))
        return lines

    def closing(self) -> list[str]:
        """How the run ended, where the result is and what to do next."""
        match self.state.status:
            case "finished":
                return self._finished()
            case "stopped" | "interrupted" as status:
                return [self._ending(status), *columns(self._next_steps())]
            case "failed":
                error = self.state.stopped.error if self.state.stopped else ""
                return [self._ending("failed"), gate.safe_lines(error), *columns(self._next_steps())]
        output = last_lines(self.run, EXPLAINING)
        cause = states.death(self.state, output)
        tail = [INDENT + gate.safe(line) for line in without_stacks(output)[-TAIL_LINES:]] or [INDENT + tr("train.result.no_output")]
        ending = f"{self._ending('died')} {states.cause_word(cause.code)}".rstrip()
        return [ending, INDENT + gate.safe(cause.text), INDENT + tr("train.result.last_output"), *tail, *columns(self._next_steps())]

    def _line(self, moment: float, glyph: str, text: str) -> str:
        self._line_time = moment
        return f"{amounts.clock(moment)} {glyph} {text}"

    def _step(self, event: events.Step) -> list[str]:
        """A line every so many steps, for the first, for the last, and after a long silence."""
        self._losses.append(event.loss)
        every = max(1, -(-event.max_steps // STEP_LINES))
        is_due = event.step % every == 0 or event.step in (1, event.max_steps) or event.time - self._line_time >= SILENCE_S
        return [self._step_line(event)] if is_due else []

    def _step_line(self, event: events.Step) -> str:
        """The loss is the mean of the steps since the last line."""
        loss, self._losses = sum(self._losses) / len(self._losses), []
        text = tr(
            "cli.plain.step", step=str(event.step).rjust(len(str(event.max_steps))), max=event.max_steps, loss=amounts.loss(loss),
            speed=f"{event.tokens_per_s:,.0f}",
        )  # fmt: skip
        left = self.state.eta_s
        if left:
            text += tr("cli.plain.left", time=amounts.duration(left))
        return self._line(event.time, self._glyphs.note, text)

    def _progress(self, event: events.Phase) -> list[str]:
        """How far a long phase is, now and then."""
        if not event.total or event.done >= event.total or event.time - self._line_time < PROGRESS_EVERY_S:
            return []
        share = f"{100 * event.done / event.total:.0f} %"
        return [self._line(event.time, self._glyphs.note, f"{phase_text(event)} {share}")]

    def _finished(self) -> list[str]:
        rows = [
            [tr("cli.plain.model"), gate.safe(str(self.run.final_model))],
            [tr("cli.plain.look"), f"danlu attach {gate.safe(reference(self.run))}"],
            [tr("cli.plain.load"), f'AutoPeftModelForCausalLM.from_pretrained("{gate.safe(str(self.run.final_model))}")'],
        ]
        return [self._line(self.state.last_time, self._glyphs.done, states.finished(self.state, self._glyphs)), *columns(rows)]

    def _ending(self, status: str) -> str:
        glyph = self._glyphs.stopped if status in ("stopped", "interrupted") else self._glyphs.failed
        ending = states.ending(status, states.last_step(self.state), self.state.max_steps)
        return self._line(self.state.last_time or time.time(), glyph, ending)

    def _next_steps(self) -> list[list[str]]:
        newest = next(iter(self.run.checkpoints()), None)
        kept = gate.safe(str(newest)) if newest else tr("train.result.no_checkpoint")
        return [
            [tr("cli.plain.kept"), kept],
            [tr("cli.plain.again"), f"danlu resume {gate.safe(reference(self.run))}"],
            [tr("cli.plain.log"), gate.safe(str(self.run.engine_log))],
        ]


def watch(run: RunDirectory, since: int | None = None, stops: bool = False, ascii: bool = False) -> int:
    """Follow `run` in plain lines until it ends; return the exit code of the command that watched it.

    since: `seq` of the first event to tell of; None tells where the run stands now, and what comes from here.
    stops: the first ctrl-C asks the engine to stop with a checkpoint, the second leaves; else ctrl-C only leaves.
    """
    narrator = Narrator(run, ASCII if ascii else UNICODE)
    with _interrupts(run if stops else None) as asked:
        try:
            _follow(narrator, since, asked)
        except KeyboardInterrupt:
            narrate("\n" + (tr("cli.plain.left_stopping") if asked else tr("common.left_running", name=gate.safe(reference(run)))))
            return INTERRUPTED
    _narrate_all(narrator.closing())
    if narrator.state.status == "finished":
        show(gate.safe(str(run.final_model)))
    if asked and narrator.state.status in ("stopped", "interrupted"):
        return INTERRUPTED
    return narrator.state.stopped.exit_code if narrator.state.stopped else 1


def _follow(narrator: Narrator, since: int | None, asked: list[str]) -> None:
    """Tell until the run has ended. asked: filled as soon as the engine is asked to stop, which is told once."""
    follower, has_said = Follower(narrator.run), False
    told_from = since
    while not follower.ended:
        for event in follower.poll():
            lines = narrator.take(event)
            if told_from is not None and event.seq >= told_from:
                _narrate_all(lines)
        if told_from is None:
            told_from = 0
            _narrate_all(narrator.standing() if follower.is_alive else [])
        if asked and not has_said:
            has_said = True
            narrate("\n" + tr("cli.plain.stopping", name=gate.safe(reference(narrator.run))))
        time.sleep(0 if follower.ended else LIVE_POLL_S)


def _narrate_all(lines: list[str]) -> None:
    for line in lines:
        narrate(line)


@contextmanager
def _interrupts(stops: RunDirectory | None) -> Iterator[list[str]]:
    """A list for the id of the stop command that the first ctrl-C sends to `stops`; every other ctrl-C is a KeyboardInterrupt."""
    asked: list[str] = []

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asked.append(send(stops, "stop"))

    before = signal.signal(signal.SIGINT, first if stops is not None else signal.default_int_handler)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _told(event: events.Event) -> str:
    """Of the plan what it says, not what the probe added to it last."""
    return plan_text(event) if isinstance(event, events.Plan) else sentence(event).text


def _sample(sample: events.SampleFinished) -> list[str]:
    """Prompt, thinking and answer, each the beginning of it in one line."""
    parts = [("prompt", sample.prompt), ("thinking", sample.thinking), ("answer", sample.answer)]
    width = terminal_width() - len(INDENT)
    return [INDENT + gate.clip(line, width) for line in columns(
        [[tr(f"train.sample.{name}"), gate.safe(" ".join(text.split())) or "–"] for name, text in parts]
    )]  # fmt: skip
