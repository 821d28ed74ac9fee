"""The live screen: follows the attached run, shows it whole, and sends the engine what the keys ask for.

A thread reads; its messages change the state here; the views draw what the state holds.
"""

from collections.abc import Iterable
from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget

from data.errors import DanluError
from engine.changes import length_of
from engine.commands import Name
from engine.engine_log import EXPLAINING, last_lines
from engine.launch import send
from tui import states
from tui.fold import RunState, fold_all
from tui.follow import NO_SILENCE, FollowThread, Replayed, Update
from tui.gate import clip, safe
from tui.keymap import bind
from tui.screens.base import DanluScreen
from tui.sentences import Sentence, answer, command_name
from tui.texts import tr
from tui.widgets.bars import KeyBar
from tui.widgets.chart import Chart, centred
from tui.widgets.dialogs import Ask, Confirm
from tui.widgets.log_view import LogView
from tui.widgets.meters import silence_line, status_lines
from tui.widgets.result import result_lines
from tui.widgets.sample_view import SampleView
from tui.widgets.steady import Line, SteadyView

ROOMY = (100, 30)
"""From this size on all panes are shown at once."""
PANES = ("chart", "log", "sample", "result")
ROOMY_VIEWS = ({"chart", "sample", "log", "result"}, {"chart"}, {"sample"}, {"log"})
SMALL_VIEWS = ({"chart", "sample"}, {"chart", "log"}, {"sample"}, {"log"})
ENDED_VIEWS = ({"result", "chart"}, *SMALL_VIEWS)
LIVE_ONLY = ("pause", "command('checkpoint')", "command('evaluate')", "sample", "stop")
"""Actions that ask an engine for something."""
RESULT_SHARE = 0.6
"""Of a small screen the result takes this much at most; the rest is the curve's."""


class TrainScreen(DanluScreen):
    """Everything about one run."""

    tab = "train"
    CSS = """
    TrainScreen #status { height: 4; }
    TrainScreen #result { height: 10; }
    TrainScreen #left, TrainScreen #chart, TrainScreen #log, TrainScreen #sample { height: 1fr; width: 1fr; }
    TrainScreen #panes { layout: vertical; height: 1fr; }
    TrainScreen.roomy #panes { layout: horizontal; }
    TrainScreen.roomy #chart { height: 3fr; }
    TrainScreen.roomy #log { height: 2fr; }
    """
    BINDINGS: ClassVar = [
        bind("p", "pause", "train.keys.pause"),
        bind("k", "command('checkpoint')", "train.keys.checkpoint"),
        bind("e", "command('evaluate')", "train.keys.evaluate"),
        bind("s", "sample", "train.keys.sample"),
        bind("x", "stop", "train.keys.stop"),
        bind("r", "resume", "train.keys.resume"),
        bind("a", "ask", "train.keys.ask"),
        bind("v", "view", "train.keys.view"),
        bind("tab", "view", "train.keys.view", show=False),
        bind("c", "metric", "train.keys.metric"),
        bind("b", "base", "train.keys.base", show=False),
        bind("left,h", "turn(1)", "train.keys.older", show=False),
        bind("right,l", "turn(-1)", "train.keys.newer", show=False),
        bind("y", "log_scale", "train.keys.log", show=False),
        bind("plus,equals_sign", "zoom(2)", "train.keys.zoom_in", show=False),
        bind("minus", "zoom(0.5)", "train.keys.zoom_out", show=False),
        bind("down,j", "scroll(1)", "train.keys.down", show=False),
        bind("up", "scroll(-1)", "train.keys.up", show=False),
        bind("pagedown,space", "scroll(10)", "train.keys.page_down", show=False),
        bind("pageup", "scroll(-10)", "train.keys.page_up", show=False),
    ]

    class Updated(Message):
        """What a follower has read."""

        def __init__(self, source: list, update: Update):
            super().__init__()
            self.source, self.update = source, update

    def __init__(self) -> None:
        super().__init__()
        self._state: RunState | None = None
        self._is_alive = self._is_starting = False
        self._silence = NO_SILENCE
        self._follower: FollowThread | None = None
        self._source: list = []
        """Names the follower whose messages count, so that one of a run left behind changes nothing."""
        self._sent: dict[str, str] = {}
        self._note: Sentence | None = None
        self._log_tail: list[str] | None = None
        self._view = 0

    def compose_body(self) -> Iterable[Widget]:
        yield SteadyView(id="status")
        yield SteadyView(id="result", classes="panel")
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield Chart(self.session.ascii, id="chart", classes="panel")
                yield LogView(self.session.glyphs, id="log", classes="panel")
            yield SampleView(self.session.glyphs, id="sample", classes="panel")

    # Following

    def on_screen_resume(self) -> None:
        """Follow the attached run; the one followed already goes on where it is."""
        run = self.session.run
        followed = self._follower.run.path if self._follower else None
        if (run.path if run else None) != followed or self.session.is_launching:
            self._stop_following()
            if run is not None:
                source = self._source
                receive = lambda update: self.post_message(self.Updated(source, update))  # noqa: E731
                self._follower = FollowThread(run, receive, self.session.is_launching)
                self._follower.start()
            self.session.is_launching = False
        self._draw()

    def on_unmount(self) -> None:
        self._stop_following()

    def _stop_following(self) -> None:
        if self._follower is not None:
            self._follower.stop()
        self._follower, self._state, self._note, self._log_tail = None, None, None, None
        self._sent, self._view, self._source = {}, 0, []

    def on_train_screen_updated(self, message: Updated) -> None:
        if message.source is not self._source:
            return
        update, was, had_ended = message.update, self.shown_state, self.has_ended
        if isinstance(update, Replayed):
            self._state = update.state
        elif self._state is not None:
            fold_all(self._state, update.events)
        self._is_alive, self._is_starting, self._silence = update.is_alive, update.is_starting, update.silence
        self._take_answers()
        if self.shown_state != was:
            self._log_tail = None
            self.query_one(KeyBar).refresh()
        if self.has_ended != had_ended:
            self._view = 0
        if self.is_current:
            self._draw()

    def _take_answers(self) -> None:
        for id in [id for id in self._sent if self._state and id in self._state.answers]:
            del self._sent[id]
            self._note = answer(self._state.answers[id])

    @property
    def shown_state(self) -> str:
        """The state a person sees; "" while nothing has been read."""
        if self._state is None:
            return ""
        return states.state_of(self._state, self._is_alive, self._is_starting, bool(self._silence.seconds))

    @property
    def has_ended(self) -> bool:
        """Whether no engine is at work, nor awaited."""
        return self.shown_state not in ("", *states.LIVE)

    def offers(self, binding: Binding) -> bool:
        """Commands to an engine only while there is one, resuming only when there is none."""
        if binding.action in LIVE_ONLY:
            return self.shown_state in states.LIVE
        return binding.action not in ("resume", "ask") or self.has_ended

    def label(self, binding: Binding) -> str:
        """The key that pauses lets a paused run go on."""
        paused = binding.action == "pause" and self.shown_state == "paused"
        return tr("train.keys.go_on") if paused else super().label(binding)

    # Drawing

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self.set_class(event.size.width >= ROOMY[0] and event.size.height >= ROOMY[1], "roomy")
        self._view = 0
        self._draw()

    def _draw(self) -> None:
        """Show the state; what is the same on screen is not sent again."""
        self._arrange()
        self.query_one("#status", SteadyView).show(self._status)
        if self._state is None:
            return
        self.query_one(Chart).draw(self._state)
        self.query_one(LogView).draw(self._state)
        self.query_one(SampleView).draw(self._state)
        if self.has_ended:
            self._draw_result()

    def _arrange(self) -> None:
        """Only the panes of the current view take room."""
        views = self._views()
        shown = views[self._view % len(views)] if self._state is not None else set()
        shown = shown - (set() if self.has_ended else {"result"})
        for pane in PANES:
            self.query_one(f"#{pane}").display = pane in shown
        self.query_one("#left").display = bool(shown & {"chart", "log"})

    def _views(self) -> tuple[set[str], ...]:
        if self.has_class("roomy"):
            return ROOMY_VIEWS
        return ENDED_VIEWS if self.has_ended else SMALL_VIEWS

    def _status(self, width: int, height: int) -> list[Line]:
        if self._follower is None:
            ways = [line for way in ("choose", "start", "demo") for line in centred(tr(f"train.no_run_{way}"), width, 1)]
            return [*centred(tr("train.no_run"), width, 1), *ways]
        if self._state is None:
            return [[(f" {tr('train.reading')}", "dim")]]
        silence = silence_line(self._state, self._silence, self._follower.run.name, self.session.glyphs, width) if self._is_alive else []
        return [*status_lines(self._state, self.shown_state, self.session.glyphs, width), silence or self._note_line(width)]

    def _note_line(self, width: int) -> Line:
        if self._note is None:
            return []
        glyph = getattr(self.session.glyphs, self._note.glyph)
        return [(clip(f" {glyph} {self._note.text}", width), self._note.style)]

    def _draw_result(self) -> None:
        view, run = self.query_one("#result", SteadyView), self._follower.run
        if self._log_tail is None:
            self._log_tail = last_lines(run, EXPLAINING) if self.shown_state == "died" else []
        view.name_border(tr("train.result.title"))
        state, tail, shown = self._state, self._log_tail, self.shown_state
        path = str(run.path.absolute())
        build = lambda width, height: result_lines(state, shown, path, run.name, tail, self.session.glyphs, width)  # noqa: E731
        height = len(build(max(1, self.size.width - 4), 0)) + 2
        view.styles.height = height if self.has_class("roomy") else min(height, int(self.size.height * RESULT_SHARE))
        view.show(build)

    # Keys

    def action_pause(self) -> None:
        self.action_command("resume" if self._state is not None and self._state.is_paused else "pause")

    def action_command(self, name: Name, prompt: str = "") -> None:
        """Send a command and say so; the engine's answer comes with its events."""
        if self._may_command(name):
            try:
                self._sent[send(self._follower.run, name, prompt)] = name
                self._say("note", "accent", "sent", name)
            except OSError as error:
                self._say("failed", "bad", "failed", name, reason=safe(str(error)))

    def action_sample(self) -> None:
        """Ask for a prompt, then for a sample."""
        if self._may_command("sample"):
            asking = Ask(tr("train.ask.sample"), tr("train.ask.sample_text"), placeholder=tr("train.ask.sample_placeholder"))
            self.app.push_screen(asking, lambda prompt: None if prompt is None else self.action_command("sample", prompt.strip()))

    def action_stop(self) -> None:
        """Stop the run after `y`."""
        if self._may_command("stop"):
            key = "stop_text" if self._state is not None and self._state.step is not None else "stop_early"
            asking = Confirm(tr("train.ask.stop"), tr(f"train.ask.{key}", name=self._follower.run.name))
            self.app.push_screen(asking, lambda yes: self.action_command("stop") if yes else None)

    def action_resume(self) -> None:
        """Start an engine that goes on with this run; one that is finished is given a greater length first."""
        if self._follower is None:
            self._say("failed", "warn", "no_run", "resume")
        elif not self.has_ended:
            self._say("note", "warn", "is_alive", "resume", name=self._follower.run.name)
        elif self.shown_state == "finished":
            self._ask_longer()
        else:
            self.danlu.resume_run(self._follower.run)

    def _ask_longer(self) -> None:
        """A finished run goes on when it is given a greater length, in the unit it was given before."""
        run = self._follower.run
        try:
            key, length = length_of(run)
        except DanluError as error:
            self.say(safe(str(error)), "error")
            return
        asking = Ask(tr("train.ask.longer"), tr(f"train.ask.longer_{key.rpartition('_')[2]}", name=run.name), value=length)
        self.app.push_screen(
            asking, lambda given: self.danlu.resume_run(run, [f"{key}={given.strip()}"]) if given and given.strip() != length else None
        )

    def _may_command(self, name: str) -> bool:
        """Whether there is an engine to ask; says why not."""
        if self._follower is None:
            self.say(tr("train.sending.no_run", command=command_name(name)), "warning")
        elif not self._is_alive:
            self._say("failed", "warn", "finished" if self.shown_state == "finished" else "no_engine", name)
        return self._follower is not None and self._is_alive

    def _say(self, glyph: str, style: str, key: str, command: str, **values: str) -> None:
        self._note = Sentence(glyph, style, tr(f"train.sending.{key}", command=command_name(command), **values))
        self._draw()

    def action_ask(self) -> None:
        """Ask the model of the followed run."""
        if self._follower is not None:
            self.danlu.chat(self._follower.run)

    def action_view(self) -> None:
        self._view = (self._view + 1) % len(self._views())
        self._draw()

    def action_metric(self) -> None:
        self.query_one(Chart).next_metric()

    def action_log_scale(self) -> None:
        self.query_one(Chart).toggle_log()

    def action_zoom(self, factor: float) -> None:
        self.query_one(Chart).magnify(factor)

    def action_turn(self, samples: int) -> None:
        self.query_one(SampleView).turn(samples)

    def action_base(self) -> None:
        self.query_one(SampleView).toggle_base()

    def action_scroll(self, lines: int) -> None:
        """Scroll the sample where it is shown, else the log, else the result."""
        views = [self.query_one(f"#{pane}", SteadyView) for pane in ("sample", "log", "result")]
        shown = next((view for view in views if view.display), None)
        if shown is not None:
            shown.scroll_lines(lines)
