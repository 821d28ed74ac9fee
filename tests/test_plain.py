"""Runs as plain lines: which events get one, how a run ends in them, what ctrl-C does."""

import signal
import sys

import msgspec
import pytest

from engine import commands, events
from engine.launch import send
from engine.queue import Tail
from tests.console_runs import beginning, evaluation
from tests.fake_engine import FINISHED, STARTED, engine, step, write
from tui.plain import Narrator, watch
from tui.texts import set_language

EVAL = {"thinking_loss": None, "answer_loss": None, "perplexity": 1.0, "supervised_tokens": 1, "examples": 1, "seconds": 1.0}


@pytest.fixture(autouse=True)
def english():
    set_language("en")
    yield
    set_language("auto")


def told(narrator: Narrator, *what: events.Event, apart_s: float = 1.0) -> list[str]:
    """The lines of events that come `apart_s` after one another, numbered as a log numbers them."""
    return [line for number, event in enumerate(what) for line in narrator.take(stamped(event, number, apart_s))]


def stamped(event: events.Event, number: int, apart_s: float) -> events.Event:
    return msgspec.structs.replace(event, seq=number, time=1e9 + number * apart_s)


def test_long_run_tells_every_so_many_steps(run_dir):
    """Of 1,000 steps about 50 get a line: the first, every 20th, the last."""
    lines = told(Narrator(run_dir), *(step(number, max_steps=1000) for number in range(1, 1001)))

    assert len(lines) == 51
    assert "step    1/1000" in lines[0]
    assert "step 1000/1000" in lines[-1]


def test_slow_steps_are_told_one_by_one(run_dir):
    """After a minute of silence the next step gets a line."""
    lines = told(Narrator(run_dir), *(step(number, max_steps=1000) for number in range(1, 11)), apart_s=61)

    assert len(lines) == 10


def test_told_loss_is_the_mean_since_the_last_line(run_dir):
    """A line's loss stands for all steps since the line before."""
    narrator = Narrator(run_dir)
    told(narrator, *(step(number, loss=1.0, max_steps=100) for number in (1, 2)))

    lines = [line for number, loss in ((3, 3.0), (4, 5.0)) for line in narrator.take(stamped(step(number, loss, 100), number, 1.0))]

    assert "loss 4.000" in lines[0]


def test_sample_is_told_in_one_line_a_part(run_dir):
    """Prompt, thinking and answer take one line each, control characters made visible."""
    sample = events.SampleFinished(
        id="0-0", step=0, prompt="什么是 SM4？", thinking="第一行\n第二行", answer="分组\x1b[31m密码", opened=True, closed=True,
        well_formed=True, ended=True, tokens=9, tokens_per_s=1.0,
    )  # fmt: skip

    lines = told(Narrator(run_dir), sample)

    assert len(lines) == 4
    assert "第一行 第二行" in lines[2]
    assert "\x1b" not in "".join(lines)


def test_phase_progress_is_told_now_and_then(run_dir):
    """A phase that goes on gets its share every ten seconds, not at every event."""
    phases = [events.Phase(name="tokenise", done=done, total=100) for done in range(100)]

    assert len(told(Narrator(run_dir), *phases, apart_s=1.0)) == 10


def test_watching_a_finished_run_gives_its_result(run_dir, capsys):
    """The result's folder is on stdout, the narration on stderr, the exit code 0."""
    write(run_dir, STARTED, events.Eval(step=0, loss=3.0, **EVAL), step(4), events.Eval(step=4, loss=2.0, **EVAL), FINISHED)

    code = watch(run_dir)

    out, err = capsys.readouterr()
    assert code == 0
    assert out == f"{run_dir.final_model}\n"
    assert "evaluation loss 3.000 → 2.000" in err


@pytest.mark.parametrize(
    ("language", "ascii", "words"),
    [
        ("en", False, "evaluation loss 3.000 → 2.000, tokens right 31.0 % → 50.0 %"),
        ("en", True, "evaluation loss 3.000 > 2.000, tokens right 31.0 % > 50.0 %"),
        ("zh", False, "评估损失 3.000 → 2.000，词元正确率 31.0 % → 50.0 %"),
    ],
)
def test_a_finished_run_tells_what_its_evaluations_came_to(run_dir, capsys, language, ascii, words):
    """In the user's language, and without a sign that a plain terminal lacks."""
    base = msgspec.structs.replace(evaluation(0, 3.0), accuracy=0.31)
    write(run_dir, STARTED, base, step(4), evaluation(4, 2.0), FINISHED)
    set_language(language)
    watch(run_dir, ascii=ascii)

    assert words in capsys.readouterr().err


def test_failed_run_gives_its_error_and_exit_code(run_dir, capsys):
    """The engine's message is repeated whole, and its exit code is the command's."""
    write(run_dir, STARTED, events.EngineStopped(reason="failed", exit_code=2, error="d.jsonl: no such file; check data.path"))

    code = watch(run_dir)

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "d.jsonl: no such file; check data.path" in err
    assert "danlu resume" in err


def test_engine_that_died_shows_its_last_output(run_dir, capsys):
    """Without a last word the end of engine.log stands in, and the exit code is 1."""
    write(run_dir, STARTED, step(1))
    run_dir.engine_log.write_text("Fatal Python error: Segmentation fault\n", encoding="utf-8")

    assert watch(run_dir) == 1
    assert "Segmentation fault" in capsys.readouterr().err


def test_attaching_tells_where_the_run_stands(run_dir, capsys):
    """Who comes late gets one line of the newest step, not the history."""
    with engine(run_dir, STARTED, *(step(number, max_steps=400) for number in range(1, 301)), then=lambda: stop(run_dir)):
        assert watch(run_dir) == 3

    assert capsys.readouterr().err.count("step ") < 6


def test_attaching_tells_the_plan_and_not_only_what_the_probe_added(run_dir):
    """Steps, device and precision, and what keeps the run off the fast layers; the plan is said again with the measured peak."""
    plan = next(event for event in beginning() if isinstance(event, events.Plan))
    slow = msgspec.structs.replace(plan, plain_because="lora.variant = 'dora'", recomputed_layers=18)
    narrator = Narrator(run_dir)
    told(narrator, STARTED, slow, msgspec.structs.replace(slow, probed_peak_gib=1.5))
    (line,) = narrator.standing()

    assert "20 steps on cpu in fp32" in line and "18 layers recompute their activations · slower layers: lora.variant = 'dora'" in line


def stop(run) -> None:
    send(run, "stop")


@pytest.fixture
def pending() -> list[signal.Signals]:
    """Signals that are still to come, one a line."""
    return [signal.SIGINT]


@pytest.fixture
def interrupted_at_first_line(monkeypatch, pending):
    """ctrl-C as soon as the first line has been told."""

    def narrate(text: str) -> None:
        print(text, file=sys.stderr)
        if pending:
            signal.raise_signal(pending.pop())

    monkeypatch.setattr("tui.plain.narrate", narrate)


@pytest.mark.usefixtures("interrupted_at_first_line")
def test_interrupt_in_the_foreground_stops_the_run(run_dir, capsys):
    """The first ctrl-C sends a stop command, the run is followed to its end, and the exit code is 130."""
    with engine(run_dir, STARTED, step(1)) as received:
        code = watch(run_dir, since=0, stops=True)

    assert code == 130
    assert [command.type for command in received] == ["stop"]
    assert "danlu resume" in capsys.readouterr().err


@pytest.mark.usefixtures("interrupted_at_first_line")
def test_second_interrupt_leaves_at_once(run_dir, pending, capsys):
    """The stop that was sent stands; the watcher does not wait for it."""
    pending.append(signal.SIGINT)

    with engine(run_dir, STARTED, step(1)):
        code = watch(run_dir, since=0, stops=True)

    assert code == 130
    assert [command.type for command in Tail(run_dir.commands, commands.decode).read()] == ["stop"]
    assert "by itself" in capsys.readouterr().err


@pytest.mark.usefixtures("interrupted_at_first_line")
def test_interrupt_of_an_attached_watcher_leaves_the_run_alone(run_dir, capsys):
    """ctrl-C while attached sends nothing and says how to come back."""
    with engine(run_dir, STARTED, step(1)) as received:
        code = watch(run_dir)

    assert (code, received) == (130, [])
    assert "danlu attach" in capsys.readouterr().err


def test_resumed_run_does_not_repeat_its_past(run_dir, capsys):
    """Only events from `since` on are told."""
    write(run_dir, STARTED, step(1), events.EngineStopped(reason="stopped", exit_code=3, step=1))
    write(run_dir, events.EngineStarted(start_id="2", pid=2, versions={}, resumed_step=1), step(2), FINISHED)

    watch(run_dir, since=3)

    err = capsys.readouterr().err
    assert "goes on after step 1" in err
    assert "step 1/4" not in err


def test_narrator_folds_what_it_does_not_tell(run_dir):
    """Every event reaches the state, with a line or without."""
    narrator = Narrator(run_dir)
    told(narrator, STARTED, *(step(number, max_steps=1000) for number in range(1, 8)))

    assert narrator.state.step is not None and narrator.state.step.step == 7
