"""The split preview: what each part should get of each kind of record, and what it gets. Lines only; splitting is `data.splitting`."""

from collections import Counter
from collections.abc import Callable

from data.splitting import Split
from tui import gate
from tui.glyphs import Glyphs
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.lines import Line, wrap

LABEL, COUNT, MOST = 18, 9, 30
LENGTH_LIMITS = (100, 300, 1000, 3000)
"""Characters of question and answer; the kinds of length `data.splitting` keeps in proportion."""


def split_lines(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    """The page for a width in cells."""
    if table.split is None:
        return [[(tr("data.not_yet"), "dim")]]
    parts = [part for part, share in table.split.ratios.items() if share > 0]
    lines = [[(tr("data.split_title"), "title"), ("  " + tr("data.split_seed", seed=table.split.seed), "dim")]]
    lines += wrap([(tr("data.split_about"), "dim")], width)
    column = min((width - LABEL - COUNT) // len(parts), MOST)
    lines += [[], _heading(parts, column), _row(tr("data.split_all"), Counter(table.split.assignment), table.split, column, signs)]
    for name, kind in KINDS.items():
        counted = _counted(table, table.split, kind)
        if len(counted) > 1 or "" not in counted:
            lines += [[], [(tr(f"data.split_{name}"), "label")]]
            lines += [_row("  " + _label(name, value), counts, table.split, column, signs) for value, counts in sorted(counted.items())]
    return [*lines, [], *_proof(table, table.split, signs, width)]


def _length_kind(table: RecordTable, record: int) -> str:
    size = len(table.dataset.records[record].conversation.text())
    below = next((limit for limit in LENGTH_LIMITS if size < limit), None)
    return f"< {below:>5,}" if below else f"≥ {LENGTH_LIMITS[-1]:>5,}"


KINDS: dict[str, Callable[[RecordTable, int], str]] = {
    "difficulty": lambda table, record: table.dataset.records[record].conversation.difficulty,
    "category": lambda table, record: table.dataset.records[record].conversation.category,
    "thinking": lambda table, record: "with" if table.dataset.records[record].conversation.has_thinking else "without",
    "length": _length_kind,
}


def _counted(table: RecordTable, split: Split, kind: Callable[[RecordTable, int], str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for record, part in enumerate(split.assignment):
        found.setdefault(kind(table, record), Counter())[part] += 1
    return found


def _label(name: str, value: str) -> str:
    if name == "thinking":
        return tr(f"data.thinking_{value}")
    return gate.safe(value) or tr("data.split_none")


def _heading(parts: list[str], column: int) -> Line:
    columns = "".join(gate.pad(tr("data.split_part", part=part), column - 2, right=True) + "  " for part in parts)
    return [(" " * LABEL + gate.pad(tr("data.split_records"), COUNT, right=True) + columns, "dim")]


def _row(label: str, counts: Counter[str], split: Split, column: int, signs: Glyphs) -> Line:
    """Wanted → got a part; a part that misses its share by more than one record in a hundred and more than one record is marked."""
    total = sum(counts.values())
    line: Line = [(gate.pad(label, LABEL), ""), (f"{total:>{COUNT},}", "")]
    for part, share in split.ratios.items():
        if not share:
            continue
        wanted, got = share * total, counts[part]
        is_off = abs(got - wanted) > max(1.0, 0.01 * total)
        figures = f"{wanted:,.{1 if wanted < 1000 else 0}f} {signs.arrow} {got:,} ({100 * got / total:.1f} %)"
        line += [(gate.pad(figures, column - 2, right=True), "warn" if is_off else ""), (f" {signs.warning}" if is_off else "  ", "warn")]
    return line


def _proof(table: RecordTable, split: Split, signs: Glyphs, width: int) -> list[Line]:
    """Counted, not assumed: groups whose members are in more than one part."""
    crossing = sum(len({split.assignment[member] for member in members}) > 1 for members in table.near.values())
    text = tr("data.split_proof", groups=f"{len(table.near):,}", crossing=f"{crossing:,}")
    return wrap([(f"{signs.failed if crossing else signs.done} ", "bad" if crossing else "good"), (text, "")], width, "  ")
