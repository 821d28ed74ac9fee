"""The live screen, driven by keys over run directories that the real EventWriter wrote."""

import ast
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import msgspec
import pytest

from engine import commands, events
from engine.queue import Tail
from tests.console_runs import beginning, engine_alive, evaluation, make_run, sample, step, stopped, write
from tests.screens import text_of, until, until_shown
from tui import texts
from tui.app import DanluApp
from tui.fold import RunState, fold_all
from tui.gate import cells
from tui.glyphs import UNICODE
from tui.session import Session
from tui.widgets.chart import Chart
from tui.widgets.meters import status_lines
from tui.widgets.result import result_lines
from tui.widgets.steady import SteadyView

SMALL, LARGE = (80, 24), (120, 40)
TRAINED = [*beginning(), *[step(n) for n in range(1, 11)], evaluation(10, 2.25), sample("10-0", 10, answer="训练后的回答")]
ENDED = [*TRAINED, events.CheckpointSaved(step=10, path="checkpoint-10", bytes=1 << 20)]


@pytest.fixture(autouse=True)
def english():
    """The tests read English texts."""
    texts.set_language("en")


def console(run, tmp_path, **options):
    return DanluApp(Session(run=run, output_dir=tmp_path, **options), "train")


def sent(run):
    return [(command.type, command.prompt) for command in Tail(run.commands, commands.decode).read()]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_newest_numbers_are_shown(tmp_path, size):
    """State, step, loss, evaluation first → last, rate, norm and speed stand on screen at both sizes."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=size) as pilot:
            await until_shown(pilot, "● training", "10/20", "loss 2.100", "3.000 → 2.250", "lr 0.0001", "grad 0.5", "150 tok/s")
            await until_shown(pilot, "left, done at")


async def test_everything_is_shown_at_once_on_a_large_terminal(tmp_path):
    """120×40: curve, log and sample side by side."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "Loss", "Log", "Sample", "evaluated after step 10", "训练后的回答")


async def test_views_are_cycled_on_a_small_terminal(tmp_path):
    """80×24: the curve with the sample, then with the log."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "╭─ Sample")
            await pilot.press("v")
            await until_shown(pilot, "╭─ Loss", "╭─ Log")

            assert "╭─ Sample" not in text_of(pilot.app)


async def test_loading_is_shown_stage_by_stage(tmp_path):
    """From the first second on it says what is under way and how far it is."""
    run = make_run(tmp_path, "a", [*beginning()[:3], events.Phase(name="tokenise", done=30, total=120, detail="train")])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "✓ loading the model", "● preparing the data", "25%", "30/120 tokenising")


async def test_what_the_engine_says_before_the_first_step_is_in_the_users_language(tmp_path):
    """The device, what is wrong with the data, and the base model's samples."""
    texts.set_language("zh")
    told = [events.Warning(code="truncated", text="the reasoning of 3 examples is cut"), sample("0-0", 0)]
    run = make_run(tmp_path, "a", [*beginning(device="CPU, 2 threads"), *told])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "CPU，2 线程", "思考被截短: the reasoning", "基座模型采样")


async def test_a_sample_grows_as_it_is_written(tmp_path):
    """Thinking and answer appear under their headings while the model writes them."""
    started = events.SampleStarted(id="10-x", prompt="what is SM3?", step=10)
    run = make_run(tmp_path, "a", [*TRAINED, started, events.SampleText(id="10-x", offset=0, text="a hash")])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "being written", "what is SM3?", "a hash")
            write(run, [events.SampleText(id="10-x", offset=6, text=" function</think>\n\n256 bits")])
            await until_shown(pilot, "a hash function", "256 bits")

            assert "</think>" not in text_of(pilot.app)


async def test_earlier_samples_and_the_base_model_are_a_key_away(tmp_path):
    """← shows the sample before; b the base model's answer to the same prompt."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "after step 10 · 2 of 2", "训练后的回答")
            await pilot.press("b")
            await until_shown(pilot, "基座的回答")
            await pilot.press("b", "left")
            await until_shown(pilot, "base model · 1 of 2")


async def test_of_samples_written_side_by_side_the_one_that_is_read_stays(tmp_path):
    """← goes to the other one, which stays in sight although the newer one ends and a further one begins."""
    started = [events.SampleStarted(id=f"10-{name}", prompt=f"question {name}", step=10) for name in "xy"]
    pieces = [events.SampleText(id=f"10-{name}", offset=0, text=f"thoughts of {name}") for name in "xy"]
    run = make_run(tmp_path, "a", [*TRAINED, *started, *pieces])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "question y", "thoughts of y")
            await pilot.press("left")
            await until_shown(pilot, "question x", "thoughts of x")
            write(run, [sample("10-y", 10, prompt="question y"), events.SampleStarted(id="10-z", prompt="question z", step=10),
                        events.SampleText(id="10-x", offset=13, text=" and more")])  # fmt: skip
            await until_shown(pilot, "thoughts of x and more")

            assert "question x" in text_of(pilot.app) and "question z" not in text_of(pilot.app)


async def test_every_command_key_sends_its_command_and_shows_the_answer(tmp_path):
    """Each says "sent" at once, and what the engine says when it answers."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "● training")
            await pilot.press("k", "e", "p")
            await until_shown(pilot, "pause: sent")
            ids = [command.id for command in Tail(run.commands, commands.decode).read()]
            write(run, [events.CommandDone(id=ids[2], command="pause", ok=True), events.Paused(paused=True, step=10)])
            await until_shown(pilot, "✓ pause: done", "‖ paused")
            await pilot.press("p")
            await until_shown(pilot, "resume: sent")

            assert [name for name, _ in sent(run)] == ["checkpoint", "evaluate", "pause", "resume"]


async def test_a_refusal_is_shown_with_its_reason(tmp_path):
    """A command the engine refuses is not silently lost."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "● training")
            await pilot.press("e")
            await until(pilot, lambda: sent(run))
            id = Tail(run.commands, commands.decode).read()[0].id
            write(run, [events.CommandDone(id=id, command="evaluate", ok=False, reason="there is no evaluation data")])
            await until_shown(pilot, "evaluate: refused, there is no evaluation data")


async def test_the_key_that_pauses_says_that_it_lets_a_paused_run_go_on(tmp_path):
    """And says pause again afterwards."""
    run = make_run(tmp_path, "a", [*TRAINED, events.Paused(paused=True, step=10)])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "‖ paused", "p go on")
            write(run, [events.Paused(paused=False, step=10)])
            await until_shown(pilot, "● training", "p pause")


async def test_stop_needs_a_yes(tmp_path):
    """x alone stops nothing, nor does enter; y does."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "● training")
            await pilot.press("x")
            await until_shown(pilot, "Stop the run?")
            await pilot.press("enter", "n")
            assert not run.commands.exists()

            await pilot.press("x", "y")
            await until(pilot, lambda: run.commands.exists() and sent(run) == [("stop", "")])


async def test_a_sample_is_asked_for_with_a_prompt(tmp_path):
    """s opens a line for the prompt; esc sends nothing."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "● training")
            await pilot.press("s", *"SM9", "escape", "s", *"SM2", "enter")
            await until(pilot, run.commands.exists)

            assert sent(run) == [("sample", "SM2")]


async def test_a_stopped_run_is_resumed_where_it_stands(tmp_path, monkeypatch):
    """r starts an engine, and the screen goes on with the same run."""
    run = make_run(tmp_path, "a", [*ENDED, stopped("stopped", 10)])
    with ExitStack() as engine:

        def resume(run, sets):
            engine.enter_context(engine_alive(run))
            write(run, [events.EngineStarted(start_id="b", pid=2, versions={}, resumed_step=10), events.Phase(name="train"), step(11)])

        monkeypatch.setattr("tui.start.resume_run", resume)
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "■ stopped", "╭─ Result")
            await pilot.press("r")
            await until_shown(pilot, "● training", "11/20")

            assert "╭─ Result" not in text_of(pilot.app)
            assert not pilot.app.session.is_launching


async def test_a_machine_with_many_gpus_shows_them_all(tmp_path):
    """Eight meters that don't fit become one for all eight, instead of the first two."""
    gpu = events.Gpu(name="H100", vram_used_gib=10.0, vram_total_gib=80.0, utilisation=50.0, temperature_c=60.0, power_w=300.0)
    run = make_run(tmp_path, "a", [*TRAINED, events.Hardware(gpus=[gpu] * 8, rss_gib=1.0, cpu_percent=100.0)])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "GPU×8", "80.0/640.0 GiB 50%")


@pytest.mark.parametrize(("measured", "sign"), [(2.9, ""), (3.4, "▲")])
def test_the_measured_peak_stands_beside_the_forecast(measured, sign):
    """A sign where it left the band in which nine runs of ten lie."""
    plan = events.Plan(
        max_steps=20, steps_per_epoch=20, device="cpu", precision="fp32", precision_reason="", gradient_checkpointing=False,
        trainable_parameters=1, total_parameters=2, forecast_peak_gib=3.0, forecast_low_gib=2.8, forecast_high_gib=3.2,
    )  # fmt: skip
    load = events.Hardware(gpus=[], rss_gib=1.0, cpu_percent=100.0)
    state = fold_all(RunState(), [plan, step(1, peak_memory_gib=measured), load])
    text = "".join(part for part, _ in status_lines(state, "training", UNICODE, 120)[2])

    assert f"peak {measured} of 3.0 GiB forecast {sign}".strip() in text


@pytest.mark.parametrize("number", [2, 8])
def test_the_peak_of_a_run_of_ranks_has_room_at_80_columns(number):
    """Each rank's own work, memory and GPU fill the line of the load; forecast beside measurement stays."""
    card = events.Gpu(vram_used_gib=20.5, vram_total_gib=24.0, utilisation=97.0)
    ranks = [events.RankLoad(rank=rank, host="one", work_s=1.5, rss_gib=2.5, gpu=card) for rank in range(number)]
    plan = events.Plan(
        max_steps=20, steps_per_epoch=20, device="cuda", precision="bf16", precision_reason="", gradient_checkpointing=False,
        trainable_parameters=1, total_parameters=2, forecast_peak_gib=21.0, forecast_high_gib=22.0,
    )  # fmt: skip
    load = events.Hardware(gpus=[card] * number, rss_gib=1.0, cpu_percent=100.0)
    told = [plan, step(1, peak_memory_gib=20.9), load, events.Ranks(step=1, strategy="ddp", ranks=ranks)]
    lines = ["".join(text for text, _ in line) for line in status_lines(fold_all(RunState(), told), "training", UNICODE, 80)]

    assert "peak 20.9 of 21.0 GiB forecast" in lines[1] and f"{number} processes (DDP)" in lines[2] and "97%" in lines[2]
    assert all(cells(line) <= 80 for line in lines)


async def test_a_command_without_an_engine_is_refused_and_not_written(tmp_path):
    """Nothing is left in the queue that a later engine would have to refuse."""
    run = make_run(tmp_path, "a", [*ENDED, stopped("stopped", 10)])
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "■ stopped")
        await pilot.press("k")
        await until_shown(pilot, "checkpoint: refused, no engine is running")

        assert not run.commands.exists()


async def test_the_footer_offers_what_can_be_done(tmp_path):
    """While an engine runs: pause and stop, nothing to resume; when it has ended the other way round."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "● training", "p pause", "x stop")
            assert "r resume" not in text_of(pilot.app)

    write(run, [stopped("stopped", 10)])
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "■ stopped", "r resume")
        assert not any(key in text_of(pilot.app) for key in ("p pause", "k checkpoint", "e evaluate", "s sample", "x stop"))


async def test_the_footer_changes_with_the_last_event(tmp_path):
    """An engine says its last word before it lets its lock go; the keys are those of an ended run from then on."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "● training", "p pause")
            write(run, [stopped("stopped", 10)])
            await until_shown(pilot, "■ stopped", "r resume")

            assert "p pause" not in text_of(pilot.app)


async def test_a_run_without_a_step_says_so(tmp_path):
    """Not "after step 0 of 0"."""
    run = make_run(tmp_path, "a", [*beginning(), stopped("interrupted", 0)])
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "Interrupted before the first step.")


async def test_an_engine_without_progress_is_told_with_the_way_to_end_it(tmp_path):
    """Its watchdog's warning turns the state, names the phase and how long, until it goes on."""
    run = make_run(tmp_path, "a", [*TRAINED, events.Phase(name="evaluate"), events.Warning(code="stalled", text="no progress in …")])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "▲ stalled · evaluating", "No progress for", "danlu stop a --now")
            write(run, [events.Phase(name="train")])
            await until_shown(pilot, "● training")

            assert "No progress for" not in text_of(pilot.app)


async def test_a_halted_engine_is_told_from_a_dead_one(tmp_path):
    """An engine stopped by SIGSTOP holds its lock and says nothing: the command that wakes it is on screen."""
    run = make_run(tmp_path, "a", TRAINED)
    program = (
        "import sys, time; from engine.run_directory import *\n"
        "lock = RunLock(RunDirectory(sys.argv[1])); print(1, flush=True); time.sleep(99)"
    )
    halted = subprocess.Popen([sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE)
    halted.stdout.read(1)
    halted.send_signal(signal.SIGSTOP)
    os.utime(run.events, (0, time.time() - 20))
    try:
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "▲ stalled · training", "halted for 15 s", "kill -CONT 1")
    finally:
        halted.kill()
        halted.wait()


@pytest.mark.parametrize(("cause", "word"), [("host_memory", "the host ran out of memory"), ("crash", "a crash in native code")])
async def test_the_cause_of_a_death_is_told(tmp_path, cause, word):
    """What the supervisor wrote stands in the headline, its sentence below, then the engine's last output."""
    died = events.EngineStopped(reason="died", exit_code=137, error="lower train.batch_size", cause=cause)
    run = make_run(tmp_path, "a", [*ENDED, died])
    run.engine_log.write_text("last words\n")
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "✗ engine died", f"after step 10 of 20: {word}", "lower train.batch_size", "last words", "danlu resume a")


async def test_the_end_says_where_the_model_is_and_how_to_load_it(tmp_path):
    """A finished run stays on screen with its result."""
    last = [evaluation(20, 2.0), events.FinalModelSaved(path="final_model", bytes=1 << 20), stopped("finished", 20)]
    run = make_run(tmp_path, "a", [*ENDED, *last])
    async with console(run, tmp_path).run_test(size=(160, 40)) as pilot:
        await until_shown(pilot, "✓ Finished", "3.000 → 2.000", str(run.final_model), "AutoPeftModelForCausalLM.from_pretrained(")


@pytest.mark.parametrize("folder", ["a", "深" * 30 + "/" + "long" * 40], ids=["short", "long"])
@pytest.mark.parametrize("width", [76, 116])
def test_how_to_load_the_result_can_be_copied(folder, width):
    """Lines that fit and that Python reads as the path, however long it is."""
    state = fold_all(RunState(), [*ENDED, events.FinalModelSaved(path="final_model", bytes=1 << 20), stopped("finished", 20)])
    lines = result_lines(state, "finished", f"/runs/{folder}", "a", [], UNICODE, width)
    texts = ["".join(text for text, _ in line) for line in lines]
    first, last = (next(n for n, text in enumerate(texts) if text.startswith(f"  {title} ")) for title in ("load", "next"))
    _, loads = ast.parse("\n".join(text[12:] for text in texts[first:last])).body

    assert max(map(cells, texts)) <= width
    assert [ast.literal_eval(argument) for argument in loads.value.args] == [f"/runs/{folder}/final_model"]


async def test_a_failed_run_shows_its_error_and_the_way_on(tmp_path):
    """The one message with its cure, the checkpoint that was kept, and how to resume."""
    run = make_run(tmp_path, "a", [*ENDED, stopped("failed", 10, "out of memory; lower data.max_seq_length")])
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "✗ failed", "lower data.max_seq_length", "checkpoint-10, step 10 of 20", "danlu resume a")


async def test_a_run_that_died_shows_the_last_words_of_its_engine(tmp_path):
    """Without a last event the raw output explains it, through the gate."""
    run = make_run(tmp_path, "a", ENDED)
    run.engine_log.write_text("Fatal Python error: \x1b[31mSegmentation fault\n")
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "✗ engine died", "Fatal Python error: ␛[31mSegmentation fault")


async def test_naughty_strings_pass_the_gate(tmp_path):
    """Escape sequences, markup and direction overrides of a model are shown, not obeyed."""
    nasty = "[/b] [TODO] \x1b]52;c;AAAA\x07 \x9b31m \u202e end"
    run = make_run(tmp_path, "a", [*TRAINED, sample("10-1", 10, prompt=nasty, thinking=nasty, answer=nasty)])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "[/b] [TODO] ␛]52;c;AAAA␇ ⟨U+009B⟩31m ⟨U+202E⟩ end")

            assert not set(text_of(pilot.app)) & set("\x1b\x07\x9b\u202e")


async def test_missing_events_are_told(tmp_path):
    """A gap in the numbering stands in the status."""
    run = make_run(tmp_path, "a", TRAINED)
    lines = run.events.read_bytes().splitlines(keepends=True)
    run.events.write_bytes(b"".join(lines[:9] + lines[11:]))
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "▲ events missing: 2")


async def test_without_a_run_it_says_how_to_get_one(tmp_path):
    """No empty screen: three ways to a run."""
    async with console(None, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "No run is attached", "5 chooses a run", "danlu demo")


async def test_the_metric_the_scale_and_the_zoom_change(tmp_path):
    """c, y and + change the curve and its title."""
    run = make_run(tmp_path, "a", TRAINED)
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "╭─ Loss")
            await pilot.press("y", "plus", "c")
            await until_shown(pilot, "Thinking and answer loss", "log", "last 5 steps")

            assert pilot.app.screen.query_one(Chart).metric == "parts"


async def test_the_accuracy_of_evaluations_is_told_and_drawn(tmp_path):
    """In the log by part; as a curve from the evaluations alone."""
    run = make_run(tmp_path, "a", [*TRAINED, evaluation(20, 2.0)])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "50.0 % of the tokens right", "(thinking 40.0 %, answer 75.0 %)")
            await pilot.press("c", "c")
            await until_shown(pilot, "Tokens right in evaluations, %", "○ thinking", "60 ┤")


@pytest.mark.parametrize(
    ("language", "words"), [("en", "slower layers: lora.variant = 'dora'"), ("zh", "较慢的普通层：lora.variant = 'dora'")]
)
async def test_what_keeps_a_run_off_the_fast_layers_stays_on_screen(tmp_path, language, words):
    """Beside the speed that it explains, after the probe has said the plan again; nothing where the run is on them."""
    start = [msgspec.structs.replace(event, plain_because="lora.variant = 'dora'", probed_peak_gib=1.0) if isinstance(event, events.Plan)
             else event for event in TRAINED]  # fmt: skip
    slow, fast = make_run(tmp_path, "slow", start), make_run(tmp_path, "fast", TRAINED)
    texts.set_language(language)
    with engine_alive(slow), engine_alive(fast):
        async with console(slow, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, words)
        async with console(fast, tmp_path).run_test(size=LARGE) as pilot:
            await until_shown(pilot, "10/20")

            assert "lora.variant" not in text_of(pilot.app)


async def test_an_update_that_changes_nothing_on_screen_repaints_nothing(tmp_path, monkeypatch):
    """At rest no widget asks to be drawn again."""
    run = make_run(tmp_path, "a", [*ENDED, stopped("stopped", 10)])
    async with console(run, tmp_path).run_test(size=LARGE) as pilot:
        await until_shown(pilot, "■ stopped", "Result")
        asked = []
        monkeypatch.setattr(SteadyView, "refresh", lambda view, *regions, **options: asked.append((view.id, regions)))
        pilot.app.screen._draw()

        assert asked == []


async def test_ascii_draws_no_other_sign(tmp_path):
    """With --ascii status, curve and borders are ASCII; only words in the data are not."""
    run = make_run(tmp_path, "a", [*beginning()[:4], events.Phase(name="train"), *[step(n) for n in range(1, 11)]])
    with engine_alive(run):
        async with console(run, tmp_path, ascii=True).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "* training", "10/20")
            status = text_of(pilot.app).splitlines()[1:20]

            assert all(line.replace("·", "").isascii() for line in status)


async def test_thinking_is_dimmer_than_the_answer(tmp_path):
    """Read at a glance: what was thought recedes, what was answered stands out."""
    run = make_run(tmp_path, "a", [*TRAINED, sample("10-1", 10, thinking="思考内容", answer="最终答复")])
    async with console(run, tmp_path).run_test(size=LARGE) as pilot:
        await until_shown(pilot, "思考内容", "最终答复")
        styles = {segment.text: segment.style for strip in pilot.app.screen._compositor.render_strips() for segment in strip}
        thinking, answer = styles["思考内容"].color.triplet, styles["最终答复"].color.triplet

        assert sum(thinking) < 0.8 * sum(answer)
        assert styles["最终答复"].bold


@pytest.mark.parametrize("theme", ["nord", "ansi-dark", "no-such-theme"])
async def test_any_theme_can_be_chosen(tmp_path, monkeypatch, theme):
    """Themes that don't know our colours, the terminal's own sixteen, and a name that is none."""
    monkeypatch.setenv("TEXTUAL_THEME", theme)
    run = make_run(tmp_path, "a", TRAINED)
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "10/20")


async def test_a_finished_run_is_made_longer_and_goes_on(tmp_path, monkeypatch):
    """r asks for the length there is now; the same or nothing changes nothing, another one is what the run resumes with."""
    run, asked = make_run(tmp_path, "a", [*ENDED, stopped("finished", 20)]), []
    run.config.write_text("[train]\nnum_epochs = 1.0\n")
    monkeypatch.setattr("tui.start.resume_run", lambda run, sets: asked.append(sets))
    async with console(run, tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "✓ finished")
        await pilot.press("r", "enter", "r", "escape")
        await pilot.press("r", "end", "ctrl+u", "3", "enter")
        await until(pilot, lambda: asked)

        assert asked == [["train.num_epochs=3"]]


@pytest.mark.parametrize("size", [SMALL, (120, 40)])
async def test_a_spike_is_told_with_the_records_that_caused_it(tmp_path, size):
    """Whole in the log, in the user's language first; the line above counts warnings on every view."""
    text = "step 30: loss 9.120 leaps above the usual 2.310; its records: palace.jsonl:88 (loss 12.30), palace.jsonl:7 (loss 3.10)"
    run = make_run(tmp_path, "a", [*TRAINED, events.Warning(code="loss_spike", text=text)])
    with engine_alive(run):
        async with console(run, tmp_path).run_test(size=size) as pilot:
            await until_shown(pilot, "warnings: 1")
            await pilot.press(*("v" if size == SMALL else ""))

            await until_shown(pilot, "palace.jsonl:88", "palace.jsonl:7", "9.120")


async def test_ascii_keys_and_dialogs_hold_no_other_sign(tmp_path):
    """The footer, the list of keys with its scroll bar, questions of both kinds."""
    run = make_run(tmp_path, "a", [*beginning()[:4], events.Phase(name="train"), step(1)])
    with engine_alive(run):
        async with console(run, tmp_path, ascii=True).run_test(size=(120, 20)) as pilot:
            await until_shown(pilot, "* training")
            dialogs = (("question_mark", "left h"), ("escape", ""), ("x", "y yes"), ("escape", ""), ("s", "enter accept"), ("escape", ""))
            for key, shown in (*dialogs, ("5", "enter show")):
                await pilot.press(key)
                await until_shown(pilot, shown)
                lines = text_of(pilot.app).splitlines()[1:]

                assert not set("".join(lines)) & set("←→↑↓⏎␣╭╮╰╯│─▁▂▃▄▅▆▇"), lines
