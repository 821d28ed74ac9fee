"""Which runs have a model to ask. It looks at names only; whether an adapter verifies (`engine.chosen_adapter`) is found out on loading."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.chosen_adapter import step_of
from engine.run_directory import RunDirectory
from tui.run_index import Row


@dataclass(frozen=True)
class Askable:
    """A run that has saved something.  step: of its newest adapter.  loss: of its newest evaluation, None without one."""

    run: RunDirectory
    model: str
    step: int
    loss: float | None
    is_alive: bool


def askable_runs(rows: Sequence[Row]) -> list[Askable]:
    """Those of `rows` that have saved something, in their order."""
    return [found for row in rows if (found := _askable(row)) is not None]


def default_run(runs: Sequence[Askable], attached: RunDirectory | None) -> RunDirectory | None:
    """The attached run where it can be asked, else the newest."""
    of_attached = (one.run for one in runs if attached is not None and one.run.path == attached.path)
    return next(of_attached, runs[0].run if runs else None)


def _askable(row: Row) -> Askable | None:
    run, summary = row.run, row.summary
    adapter = run.final_model if run.final_model.is_dir() else next(iter(run.checkpoints()), None)
    if adapter is None:
        return None
    loss = summary.last_eval.loss if summary.last_eval else None
    return Askable(run, row.model, step_of(adapter), loss, summary.is_alive)
