"""The two lines above the records: which file, what is shown of it, and what is still being found out. Content only."""

from pathlib import Path

from textual.content import Content

from data.saving import Outcome
from tui import gate
from tui.faults import code_name
from tui.paths import readable
from tui.screens.data_filter import Filter, Filters
from tui.screens.data_loading import Stage
from tui.screens.data_table import RecordTable
from tui.texts import has, tr


def file_line(path: Path | None, table: RecordTable | None, width: int) -> Content:
    """Name of the file, then its counts; a long path loses its beginning."""
    counts = ""
    if table is not None and table.dataset.path == path:
        counts = tr("data.records", count=f"{len(table):,}" + ("" if table.dataset.is_complete else "+"))
        if table.dataset.invalid:
            counts += " · " + tr("data.invalid", count=f"{table.dataset.invalid:,}")
        counts += f" · {table.dataset.format} · {table.dataset.encoding}"
        if table.edits.is_unsaved:
            counts += " · " + tr("data.unsaved", count=f"{len(table.edits):,}")
    room = max(width - gate.cells(counts) - 4, 12)
    name = gate.clip_start(readable(path), room) if path else tr("data.no_file")
    return Content.assemble(" ", (name, "bold $primary"), "  ", (counts, "$foreground"))


def shown_line(table: RecordTable | None, filters: Filters, needle: str, shown: int, work: str, width: int) -> Content:
    """What the list lets through at the left, the work going on at the right."""
    left, style = "", "$foreground"
    if table is not None and (filters or needle):
        what = [filter_name(one) for one in filters]
        what += [tr("data.found", needle=gate.safe(needle))] if needle else []
        left = tr("data.shown", shown=f"{shown:,}", what=" · ".join(what))
    elif table is not None:
        left, style = tr("data.all_shown"), "$text-muted"
    left = gate.clip(left, max(width - gate.cells(work) - 4, 0))
    gap = max(width - gate.cells(left) - gate.cells(work) - 2, 1)
    return Content.assemble(" ", (left, style), " " * gap, (work, "$warning"), " ")


def filter_name(wanted: Filter) -> str:
    """The filter in words; its value is outside text."""
    kind, value = wanted
    if kind == "alike" and value.isdigit():
        return tr("data.filter_alike", value=f"{int(value) + 1:,}")
    if kind == "problem":
        return tr("data.filter_problem", value=code_name(value)) if value else tr("data.filter_any_problem")
    named = f"data.filter_{kind}_{value}"
    return tr(named) if has(named) else tr(f"data.filter_{kind}", value=gate.safe(value))


def progress_of(stage: Stage) -> str:
    """What is being done, in words, with how much of it is done."""
    name = tr(f"data.stage_{stage.name}")
    return f"{name} {100 * stage.done // stage.total} %" if stage.total else name


def saved_text(outcome: Outcome, path: Path) -> str:
    """What was written where, in words."""
    counts = {name: f"{count:,}" for name, count in outcome._asdict().items()}
    lost = " " + tr("data.saved_lost", **counts) if outcome.lost else ""
    return tr("data.saved", path=str(path), **counts) + lost
