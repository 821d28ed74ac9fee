"""The engine process: `python -m engine RUN_DIR`. Takes the lock, opens the queue, runs the trainer, says how it ended.

Everything heavy is imported inside `main`, after the first events, so that a watcher sees what the seconds go into.
"""

import os
import sys
import traceback
import uuid
from pathlib import Path

from data.errors import DanluError
from engine import events
from engine.config_file import read_resolved
from engine.control import Control, StopNow
from engine.host import read_versions
from engine.manifest import newest_verified, sweep
from engine.reporter import Reporter
from engine.run_directory import RunDirectory, RunLock

EXIT_CODES = {"finished": 0, "stopped": 3, "interrupted": 130}


def main(arguments: list[str]) -> int:
    """Run the engine in the given run directory and return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m engine RUN_DIR   (people use: danlu train)", file=sys.stderr)
        return 2
    run = RunDirectory(Path(arguments[0]))
    try:
        config = read_resolved(run.config)
        lock = RunLock(run)
    except DanluError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    control = Control(run)
    control.install_signals()
    reporter = Reporter(run)
    last = _run(run, config, control, reporter)
    reporter.close(last)
    del lock
    return last.exit_code


def _run(run: RunDirectory, config, control: Control, reporter: Reporter) -> events.EngineStopped:
    """Train, and turn whatever happens into the last event."""
    try:
        sweep(run)
        checkpoint, skipped = newest_verified(run)
        step = int(checkpoint.name.removeprefix("checkpoint-")) if checkpoint else 0
        reporter.emit(
            events.EngineStarted(
                start_id=uuid.uuid4().hex,
                pid=os.getpid(),
                versions={name: version for name, version in read_versions().items() if version},
                resumed_step=step,
            )
        )
        for reason in skipped:
            reporter.warn("checkpoint_skipped", f"{reason}; resuming from {'an older checkpoint' if checkpoint else 'the start'}")
        reporter.emit(events.Phase(name="import"))
        from engine.trainer import Trainer

        trainer = Trainer(run, config, control, reporter)
        trainer.prepare(checkpoint)
        reason = trainer.run()
        return events.EngineStopped(reason=reason, exit_code=EXIT_CODES[reason], step=trainer.step)
    except StopNow:
        return events.EngineStopped(
            reason="interrupted", exit_code=130, error="stopped at once by a second signal; the last checkpoint holds"
        )
    except DanluError as error:
        print(error, file=sys.stderr)
        return events.EngineStopped(reason="failed", exit_code=error.exit_code, error=str(error))
    except Exception as error:
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return events.EngineStopped(reason="failed", exit_code=1, error=f"{text}; the traceback is in {run.engine_log}")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of native libraries must not delay the end, nor change the exit code
