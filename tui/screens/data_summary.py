"""The summary page: counts, thinking, duplicates, terms, problems by code and unusable records by line. Lines only, no keys."""

from collections import Counter
from collections.abc import Mapping

from data.inspection import is_thinking_fault
from tui import gate
from tui.faults import code_name, fault_text, in_language
from tui.glyphs import Glyphs
from tui.names import named
from tui.screens.data_table import THINKING_KINDS, RecordTable
from tui.texts import tr
from tui.widgets.lines import Line, wrap

SHOWN_FAULTS = 200
SHOWN_TERMS = 12
BAR = 24
LABEL = 18


def summary_lines(table: RecordTable, signs: Glyphs, is_ascii: bool, width: int) -> list[Line]:
    """The page for a width in cells."""
    lines = [*_records(table, width), *_thinking(table, signs)]
    lines += [[], *_duplicates(table, width), *_problems(table, signs, width), *_terms(table, signs, width)]
    lines += _faults(table, signs, width)
    return [*lines, [], *wrap([(tr("data.signs_ascii" if is_ascii else "data.signs"), "dim")], width)]


def _records(table: RecordTable, width: int) -> list[Line]:
    dataset = table.dataset
    counts = tr("data.records", count=f"{len(table):,}")
    if dataset.invalid:
        counts += " · " + tr("data.invalid", count=f"{dataset.invalid:,}")
    return [
        _title("data.summary_records"),
        *wrap([(counts, ""), (f"   {dataset.format} · {dataset.container} · {dataset.encoding}", "dim")], width),
        *(_shares("languages", table.texts.languages, width) + _shares("scripts", table.texts.scripts, width) if table.texts else []),
    ]


def _shares(name: str, counts: Mapping[str, int], width: int) -> list[Line]:
    """Records by language or script, most first; nothing where there is none to tell."""
    told = " · ".join(f"{named(name, value)} {count:,}" for value, count in Counter(counts).most_common())
    return wrap([(f"{tr(f'data.{name}')}  ", "dim"), (told, "")], width) if told else []


def _thinking(table: RecordTable, signs: Glyphs) -> list[Line]:
    """Unusable records with faulty tags count as faulty."""
    kinds = table.thinking()
    counts = {name: int((kinds == number).sum()) for number, name in enumerate(THINKING_KINDS)}
    counts["faulty"] += sum(any(map(is_thinking_fault, faults)) for faults in table.faults.values())
    total = max(sum(counts.values()), 1)
    lines: list[Line] = [[], _title("data.summary_thinking")]
    for name, style in (("with", "good"), ("without", ""), ("faulty", "warn")):
        bar = signs.full * round(BAR * counts[name] / total)
        lines.append([
            (gate.pad(tr(f"data.thinking_{name}"), LABEL), ""), (f"{counts[name]:>9,} {100 * counts[name] / total:>5.1f} %  ", ""),
            (bar, style or "bar"), (signs.empty * (BAR - len(bar)), "rest"),
        ])  # fmt: skip
    return lines


def _problems(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    """Usable, but odd: a line a code, most first. `f` shows the records behind."""
    counts = Counter(code for found in table.remarks.values() for code in {fault.code for fault in found})
    if not counts:
        return []
    lines: list[Line] = [[], [*_title("data.summary_remarks"), ("  " + tr("data.groups_below"), "dim")]]
    for code, count in counts.most_common():
        example = next(fault for found in table.remarks.values() for fault in found if fault.code == code)
        head: Line = [(f"{signs.warning} ", "warn"), (f"{count:>7,}  ", ""), (code_name(code), "label")]
        lines += wrap([*head, ("  " + in_language(code, example.text), "dim")], width, " " * 11)
    return lines


def _duplicates(table: RecordTable, width: int) -> list[Line]:
    lines = [_title("data.summary_duplicates")]
    if not len(table.groups):
        return [*lines, [(tr("data.not_yet"), "dim")]]
    near = sum(map(len, table.near.values()))
    exact = tr("data.exact_duplicates", count=f"{table.dataset.records.facts.exact_duplicates():,}")
    groups = tr("data.near_groups", groups=f"{len(table.near):,}", records=f"{near:,}")
    return lines + wrap([(exact, ""), ("   ", ""), (groups, ""), ("   " + tr("data.groups_below") if table.near else "", "dim")], width)


def _terms(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    terms = table.texts.terms if table.texts else None
    if not terms:
        return []
    lines: list[Line] = [[], [*_title("data.summary_terms"), ("  " + tr("data.terms_found", count=f"{len(terms):,}"), "dim")]]
    top = Counter(terms).most_common(SHOWN_TERMS)
    for (name, category), count in top:
        bar = signs.full * max(round(BAR * count / top[0][1]), 1)
        kind = named("categories", category)
        lines.append([(gate.pad(gate.safe(name), LABEL), ""), (f"{count:>9,}  ", ""), (bar, "bar"), ("  " + kind, "dim")])
    return lines


def _faults(table: RecordTable, signs: Glyphs, width: int) -> list[Line]:
    """Unusable values, each with its line."""
    faults = table.dataset.faults
    if not faults:
        return []
    lines: list[Line] = [[], [*_title("data.summary_faults"), (f"  {faults.counts.total():,}", "dim")]]
    for fault in faults[:SHOWN_FAULTS]:
        where = tr("data.line", line=fault.line)
        lines += wrap([(f"{signs.failed} ", "bad"), (f"{where}  ", "label"), (fault_text(fault), "")], width, "    ")
    if faults.counts.total() > SHOWN_FAULTS:
        lines.append([(tr("data.more", count=f"{faults.counts.total() - SHOWN_FAULTS:,}"), "dim")])
    return lines


def _title(key: str) -> Line:
    return [(tr(key), "title")]
