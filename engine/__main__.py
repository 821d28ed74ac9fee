"""The engine process: `python -m engine RUN_DIR`. Takes the lock, opens the queue, runs the trainer, says how it ended.

Everything heavy is imported inside `main`, after the first events, so that a watcher sees what the seconds go into.
"""

import faulthandler
import os
import signal
import sys
import traceback
import uuid
from pathlib import Path

from data.counted import counted
from data.errors import DanluError
from engine import events
from engine.card_watch import lost_gpu_words
from engine.config import Config
from engine.config_file import read_resolved
from engine.contradictions import check_together
from engine.control import Control, StopNow
from engine.errors import EnvironmentFault
from engine.hardware import LoadSampler, detect
from engine.host import read_versions
from engine.manifest import newest_verified, sweep
from engine.placement import Placement, decide
from engine.pulse import Pulse
from engine.rank_launcher import run_ranks
from engine.rank_place import LAUNCHER, RankPlace, place_of_this_process
from engine.rank_process import run_rank
from engine.redaction import RedactedStream
from engine.reporter import Reporter
from engine.run_directory import RunDirectory, RunLock

EXIT_CODES = {"finished": 0, "stopped": 3, "interrupted": 130}
STOPPED_AT_ONCE = events.EngineStopped(
    reason="interrupted", exit_code=130, error="stopped at once by a second signal; the last checkpoint holds"
)


def main(arguments: list[str]) -> int:
    """Run the engine in the given run directory and return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m engine RUN_DIR   (people use: danlu train)", file=sys.stderr)
        return 2
    run = RunDirectory(Path(arguments[0]))
    sys.stdout, sys.stderr = RedactedStream(sys.stdout), RedactedStream(sys.stderr)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable(all_threads=True)
    try:
        config = read_resolved(run.config)
        check_together(config)
        if place := place_of_this_process():
            return run_rank(run, config, place, _run)
        lock = RunLock(run)
        control = Control(run)
        control.install_signals()
        placement = decide(config, detect(run.path.parent))
        os.environ.update(placement.environment)
        last = _run_alone(run, config, control, placement) if placement.world_size == 1 else _run_ranks(run, placement, control)
    except DanluError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    del lock
    return last.exit_code


def _run_alone(run: RunDirectory, config: Config, control: Control, placement: Placement) -> events.EngineStopped:
    reporter = _open_reporter(run)
    reporter.watch_cards(placement.gpus)
    reporter.watchdog.start()
    reporter.watch_hardware(LoadSampler().sample)  # from the first second on: consoles take it for the engine's sign of life
    if placement.idle:
        idle = counted(placement.idle, "more GPU stays", "more GPUs stay")
        reporter.warn("gpus_idle", f"{idle} idle: how large the model is was not known before it was fetched; "
                      "`danlu stop` and `danlu resume` spread the run over them where that is faster")  # fmt: skip
    last = _run(run, config, control, reporter)
    reporter.close(last)
    return last


def _run_ranks(run: RunDirectory, placement: Placement, control: Control) -> events.EngineStopped:
    """Start and watch the ranks. While they live, the first of them writes the events; on another machine than its own, this process."""
    reporter = _open_reporter(run) if placement.node_rank else None
    if reporter is not None:
        _say_started(reporter, 0)
    try:
        last = run_ranks(run, placement, control)
    except StopNow:
        last = STOPPED_AT_ONCE
    (reporter or _open_reporter(run)).close(last)
    return last


def _open_reporter(run: RunDirectory) -> Reporter:
    try:
        return Reporter(run)
    except OSError as error:
        raise EnvironmentFault(f"{run.events}: {error.strerror}; the run directory must be writable, check its owner and disk") from error


def _run(
    run: RunDirectory, config: Config, control: Control, reporter: Reporter, place: RankPlace | None = None, pulse: Pulse | None = None
) -> events.EngineStopped:
    """Train, and turn whatever happens into the last event.  place, pulse: of a rank among several."""
    try:
        checkpoint, skipped = None, []
        if place is None or place.rank == 0:
            sweep(run)
            checkpoint, skipped = newest_verified(run)
        _say_started(reporter, int(checkpoint.name.removeprefix("checkpoint-")) if checkpoint else 0)
        for reason in skipped:
            reporter.warn("checkpoint_skipped", f"{reason}; resuming from {'an older checkpoint' if checkpoint else 'the start'}")
        reporter.emit(events.Phase(name="import"))
        from engine.ranks import Ranks
        from engine.shared_control import SharedControl
        from engine.trainer import Trainer

        ranks = Ranks(place, pulse)
        ranks.join()
        trainer = Trainer(run, config, SharedControl(control, ranks) if place else control, reporter, ranks)
        trainer.prepare(checkpoint)
        reason = trainer.run()
        return events.EngineStopped(reason=reason, exit_code=EXIT_CODES[reason], step=trainer.step)
    except StopNow:
        return STOPPED_AT_ONCE
    except DanluError as error:
        print(error, file=sys.stderr)
        return events.EngineStopped(reason="failed", exit_code=error.exit_code, error=str(error))
    except Exception as error:
        traceback.print_exc()
        text = lost_gpu_words(error) or (f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        return events.EngineStopped(reason="failed", exit_code=1, error=f"{text}; the traceback is in {run.engine_log}")


def _say_started(reporter: Reporter, resumed_step: int) -> None:
    """pid: of the process that holds the lock."""
    pid = int(os.environ.get(LAUNCHER) or os.getpid())
    versions = {name: version for name, version in read_versions().items() if version}
    reporter.emit(events.EngineStarted(start_id=uuid.uuid4().hex, pid=pid, versions=versions, resumed_step=resumed_step))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of native libraries must not delay the end, nor change the exit code
