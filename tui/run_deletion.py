"""Deletes a run for good, and never one that an engine is at work in."""

import os
import shutil

from engine.errors import EnvironmentFault, RunError
from engine.run_directory import RunDirectory


def delete_run(run: RunDirectory) -> None:
    """Remove the run directory. Raises RunError for a live one, EnvironmentFault where the disk refuses.

    It is renamed first: an engine that starts at this moment either holds the lock, which is seen, or finds no run.
    """
    if run.is_alive():
        raise RunError(f"{run.path}: an engine is running here; stop it first with `danlu stop {run.name}`")
    doomed = RunDirectory(run.path.with_name(f".deleted-{run.name}-{os.getpid()}"))
    try:
        run.path.rename(doomed.path)
        if doomed.is_alive():
            doomed.path.rename(run.path)
            raise RunError(f"{run.path}: an engine has just started here; stop it first with `danlu stop {run.name}`")
        if doomed.path.is_symlink():
            doomed.path.unlink()  # the link is what lies among the runs; what it leads to is somebody else's
        else:
            shutil.rmtree(doomed.path)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or run.path}: cannot delete ({error.strerror}); check who owns the folder") from error
