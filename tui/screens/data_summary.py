"""The summary page: counts, faults by line, thinking, token lengths with the cut-off, duplicates, terms. Lines only, no keys."""

from data.inspection import count_thinking
from data.lengths import PARTS, percentiles_by_part
from tui import gate
from tui.glyphs import Glyphs
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.length_histogram import draw_histogram
from tui.widgets.lines import Line, wrap

SHOWN_FAULTS = 200
SHOWN_TERMS = 12
BAR = 24
LABEL = 18


def summary_lines(table: RecordTable, no_tokenizer: str, signs: Glyphs, is_ascii: bool, width: int) -> list[Line]:
    """The page for a width in cells. no_tokenizer: why there are no token counts, '' when there are or will be."""
    lines = [*_records(table, width), *_thinking(table, signs)]
    lines += [[], *_tokens(table, no_tokenizer, is_ascii, width)]
    lines += [[], *_duplicates(table, width), *_terms(table, signs, width)]
    lines += _faults(table, signs, width)
    return [*lines, [], *wrap([(tr("data.signs_ascii" if is_ascii else "data.signs"), "dim")], width)]


def _records(table: RecordTable, width: int) -> list[Line]:
    dataset = table.dataset
    counts = tr("data.records", count=f"{len(table):,}")
    if dataset.invalid:
        counts += " · " + tr("data.invalid", count=f"{dataset.invalid:,}")
    about = f"{dataset.format} · {dataset.encoding} · sha256 {dataset.sha256[:12]}"
    return [_title("data.summary_records"), *wrap([(counts, ""), (f"   {about}", "dim")], width)]


def _thinking(table: RecordTable, signs: Glyphs) -> list[Line]:
    counts = count_thinking(table.dataset)
    total = counts.with_ + counts.without + counts.faulty
    rows = [("with", counts.with_, "good"), ("without", counts.without, ""), ("faulty", counts.faulty, "warn")]
    lines: list[Line] = [[], _title("data.summary_thinking")]
    for name, count, style in rows:
        bar = signs.full * round(BAR * count / total)
        lines.append([
            (gate.pad(tr(f"data.thinking_{name}"), LABEL), ""), (f"{count:>9,} {100 * count / total:>5.1f} %  ", ""),
            (bar, style or "bar"), (signs.empty * (BAR - len(bar)), "rest"),
        ])  # fmt: skip
    return lines


def _tokens(table: RecordTable, no_tokenizer: str, is_ascii: bool, width: int) -> list[Line]:
    title = _title("data.summary_tokens")
    if no_tokenizer:
        return [title, *wrap([(gate.safe(no_tokenizer), "warn")], width)]
    if not table.lengths:
        return [title, [(tr("data.not_yet"), "dim")]]
    heading = " " * LABEL + "".join(f"{name:>9}" for name in ("p50", "p95", "p99", "max"))
    lines = [title, [(heading, "dim")]]
    percentiles = percentiles_by_part(table.lengths)
    for part in PARTS:
        found = percentiles[part]
        figures = "".join(f"{value:>9,}" for value in (found.p50, found.p95, found.p99, found.max))
        lines.append([(gate.pad(tr(f"data.token_{part}"), LABEL), ""), (figures, "label" if part == "whole" else "")])
    return [*lines, [], *_cutoff(table, width), *draw_histogram(table.ordered_lengths, table.cutoff, min(width, 100), 6, is_ascii)]


def _cutoff(table: RecordTable, width: int) -> list[Line]:
    """The sentence that follows the cut-off as it is moved."""
    shares = table.shares(table.cutoff)
    share = 100 * shares.over / len(table.lengths)
    text = tr("data.cutoff_over", over=f"{shares.over:,}", share=f"{share:.1f}", total=f"{len(table.lengths):,}")
    lost = tr(f"data.cutoff_{table.over_length}", lost=f"{shares.lost:,}")
    style = "warn" if shares.lost else "good"
    cutoff = tr("data.cutoff", cutoff=f"{table.cutoff:,}")
    return wrap([(cutoff, "label"), (f" [ ]  {text} ", ""), (lost if shares.over else "", style)], width)


def _duplicates(table: RecordTable, width: int) -> list[Line]:
    lines = [_title("data.summary_duplicates")]
    if table.split is None:
        return [*lines, [(tr("data.not_yet"), "dim")]]
    near = sum(map(len, table.near.values()))
    exact = tr("data.exact_duplicates", count=f"{table.repeats:,}")
    groups = tr("data.near_groups", groups=f"{len(table.near):,}", records=f"{near:,}")
    return lines + wrap([(exact, ""), ("   ", ""), (groups, ""), ("   " + tr("data.groups_below") if table.near else "", "dim")], width)


def _terms(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    if not table.terms:
        return []
    lines: list[Line] = [[], [*_title("data.summary_terms"), ("  " + tr("data.terms_found", count=f"{len(table.terms):,}"), "dim")]]
    top = table.terms.most_common(SHOWN_TERMS)
    for (name, category), count in top:
        bar = signs.full * max(round(BAR * count / top[0][1]), 1)
        lines.append([(gate.pad(gate.safe(name), LABEL), ""), (f"{count:>9,}  ", ""), (bar, "bar"), ("  " + gate.safe(category), "dim")])
    return lines


def _faults(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    """Unusable values first, then remarks on usable ones, each with its line."""
    lines: list[Line] = []
    for title, faults, sign, style in (
        ("data.summary_faults", table.dataset.faults, signs.failed, "bad"),
        ("data.summary_remarks", [fault for _, found in sorted(table.remarks.items()) for fault in found], signs.warning, "warn"),
    ):
        if not faults:
            continue
        lines += [[], [*_title(title), (f"  {len(faults):,}", "dim")]]
        for fault in faults[:SHOWN_FAULTS]:
            field = f"{fault.field}: " if fault.field and fault.field not in fault.text else ""
            where = tr("data.line", line=fault.line)
            lines += wrap([(f"{sign} ", style), (f"{where}  ", "label"), (gate.safe(field + fault.text), "")], width, "    ")
        if len(faults) > SHOWN_FAULTS:
            lines.append([(tr("data.more", count=f"{len(faults) - SHOWN_FAULTS:,}"), "dim")])
    return lines


def _title(key: str) -> Line:
    return [(tr(key), "title")]
