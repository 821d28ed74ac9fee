"""The split preview: what each part should get of each kind of record, what it gets, and the proof. Lines only."""

from data.balance import KINDS, Share
from tui import gate
from tui.glyphs import Glyphs
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.lines import Line, wrap

LABEL, COUNT, MOST = 18, 9, 30
SHOWN_VALUES = 40


def split_lines(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    """The page for a width in cells."""
    split = table.split
    if split is None:
        return [[(tr("data.not_yet"), "dim")]]
    parts = [part for part, share in split.ratios.items() if share > 0]
    lines: list[Line] = [[(tr("data.split_title"), "title"), ("  " + tr("data.split_seed", seed=split.seed), "dim")]]
    about = "data.split_about" if len(parts) > 1 else "data.split_whole"
    lines += wrap([(tr(about), "dim")], width)
    column = min((width - LABEL - COUNT) // len(parts), MOST)
    total = sum(split.counts.values())
    whole = [Share("", "", part, split.ratios[part] * total, split.counts[part]) for part in parts]
    lines += [[], _heading(parts, column), _row(tr("data.split_all"), whole, column, signs)]
    for kind in KINDS:
        lines += _kind_lines(kind, [one for one in split.balance if one.kind == kind and one.part in parts], column, signs)
    return [*lines, [], *_proof(table, signs, width)]


def _kind_lines(kind: str, shares: list[Share], column: int, signs: Glyphs) -> list[Line]:
    """A row a value, most records first; nothing where no record has a value."""
    values: dict[str, list[Share]] = {}
    for one in shares:
        values.setdefault(one.value, []).append(one)
    if not values or list(values) == [""]:
        return []
    rows = sorted(values.items(), key=lambda pair: -sum(one.got for one in pair[1]))
    lines: list[Line] = [[], [(tr(f"data.split_{kind}"), "label")]]
    lines += [_row("  " + _label(kind, value), of, column, signs) for value, of in rows[:SHOWN_VALUES]]
    if len(rows) > SHOWN_VALUES:
        lines.append([("  " + tr("data.more", count=f"{len(rows) - SHOWN_VALUES:,}"), "dim")])
    return lines


def _label(kind: str, value: str) -> str:
    if kind == "thinking":
        return tr(f"data.thinking_{value}")
    return gate.safe(value) or tr("data.split_none")


def _heading(parts: list[str], column: int) -> Line:
    columns = "".join(gate.pad(tr("data.split_part", part=part), column - 2, right=True) + "  " for part in parts)
    return [(" " * LABEL + gate.pad(tr("data.split_records"), COUNT, right=True) + columns, "dim")]


def _row(label: str, shares: list[Share], column: int, signs: Glyphs) -> Line:
    """Wanted → got a part; a part that misses its share by more than two records in a hundred and more than one record is marked."""
    total = sum(one.got for one in shares)
    line: Line = [(gate.pad(label, LABEL), ""), (f"{total:>{COUNT},}", "")]
    for one in shares:
        is_off = abs(one.got - one.wanted) > max(1.0, 0.02 * total)
        share = 100 * one.got / total if total else 0
        figures = f"{one.wanted:,.{1 if one.wanted < 1000 else 0}f} {signs.arrow} {one.got:,} ({share:.1f} %)"
        line += [(gate.pad(figures, column - 2, right=True), "warn" if is_off else ""), (f" {signs.warning}" if is_off else "  ", "warn")]
    return line


def _proof(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    """Counted, not assumed: groups whose members are in more than one part; pairs found by comparing anew."""
    assert table.split is not None
    crossing = sum(len({table.split.assignment[member] for member in members}) > 1 for members in table.near.values())
    lines = _verdict(tr("data.split_proof", groups=f"{len(table.near):,}", crossing=f"{crossing:,}"), not crossing, signs, width)
    if table.proof is not None:
        exact, near = table.proof["exact"], table.proof["near"]
        lines += _verdict(tr("data.split_pairs", exact=f"{exact:,}", near=f"{near:,}"), not exact + near, signs, width)
    return lines


def _verdict(text: str, is_good: bool, signs: Glyphs, width: int) -> list[Line]:
    return wrap([(f"{signs.done if is_good else signs.failed} ", "good" if is_good else "bad"), (text, "")], width, "  ")
