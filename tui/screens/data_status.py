"""The two lines above the records: which file, what is shown of it, and what is still being found out. Content only."""

from pathlib import Path

from textual.content import Content

from tui import gate
from tui.screens.data_loading import Stage
from tui.screens.data_table import Filter, RecordTable
from tui.texts import tr


def file_line(path: Path | None, table: RecordTable | None, width: int) -> Content:
    """Name of the file, then its counts; a long path loses its beginning."""
    counts = ""
    if table is not None:
        counts = tr("data.records", count=f"{len(table):,}")
        if table.dataset.invalid:
            counts += " · " + tr("data.invalid", count=f"{table.dataset.invalid:,}")
        counts += f" · {table.dataset.format} · {table.dataset.encoding}"
    room = max(width - gate.cells(counts) - 4, 12)
    name = _end_of(gate.safe(_shown(path)), room) if path else tr("data.no_file")
    return Content.assemble(" ", (name, "bold $primary"), "  ", (counts, "$foreground"))


def shown_line(
    table: RecordTable | None, wanted: Filter, needle: str, shown: int, stage: Stage | None, stopped: bool, width: int
) -> Content:
    """What the list lets through at the left, the work going on at the right."""
    left, style = "", "$foreground"
    if table is not None and (wanted.kind != "all" or needle):
        what = [filter_name(wanted)] if wanted.kind != "all" else []
        what += [tr("data.found", needle=gate.safe(needle))] if needle else []
        left = tr("data.shown", shown=f"{shown:,}", what=" · ".join(what))
    elif table is not None:
        left, style = tr("data.all_shown"), "$text-muted"
    right = _progress(stage) if stage else tr("data.stopped") if stopped else ""
    left = gate.clip(left, max(width - gate.cells(right) - 4, 0))
    gap = max(width - gate.cells(left) - gate.cells(right) - 2, 1)
    return Content.assemble(" ", (left, style), " " * gap, (right, "$warning"), " ")


def filter_name(wanted: Filter) -> str:
    """The filter in words; its value is outside text."""
    return tr(f"data.filter_{wanted.kind}", value=gate.safe(wanted.value))


def _progress(stage: Stage) -> str:
    name = tr(f"data.stage_{stage.name}")
    return f"{name} {100 * stage.done // stage.total} %" if stage.total else name


def _shown(path: Path) -> str:
    text, home = str(path), str(Path.home())
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return "~" + text[len(home) :] if text.startswith(home + "/") else text


def _end_of(text: str, width: int) -> str:
    if gate.cells(text) <= width:
        return text
    while gate.cells(text) > width - 1:
        text = text[1:]
    return "…" + text
