"""Which rows the list shows: filters that add up, one of a kind, and how many each would let through. No widgets, no texts compared."""

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tui.screens.data_table import THINKING_KINDS, RecordTable

ANY = ""
"""Of kind problem: whatever it is."""


class Filter(NamedTuple):
    """kind and value: problem (a fault's code or ANY), state (unusable, changed, left_out), thinking (with, without, faulty),
    length (over), alike (exact, near, or the number of a group), difficulty, category, split (their labels)."""

    kind: str
    value: str


Filters = tuple[Filter, ...]


def toggled(filters: Filters, chosen: Filter) -> Filters:
    """With `chosen` in place of the one of its kind, or without it if it was among them."""
    others = tuple(one for one in filters if one.kind != chosen.kind)
    return others if chosen in filters else (*others, chosen)


def select(table: RecordTable, filters: Filters) -> Sequence[int]:
    """Rows that pass all filters, in file order; groups of alike records side by side."""
    state = next((one.value for one in filters if one.kind == "state"), "")
    if state == "unusable":
        return range(-1, -len(table.dataset.refused) - 1, -1)
    if not filters:
        return range(len(table))
    if state:
        # What is no record of the file is judged by no other filter.
        fits = _mask(table, tuple(one for one in filters if one.kind != "state"))
        wanted = [row for row in table.changed_rows() if table.is_left_out(row) == (state == "left_out")]
        return [row for row in wanted if row < 0 or fits[row]]
    rows = np.flatnonzero(_mask(table, filters))
    if Filter("alike", "near") in filters:
        rows = rows[np.argsort(table.groups[rows], kind="stable")]
    return array("i", rows.astype(np.int32).tobytes())


def offers(table: RecordTable, filters: Filters) -> list[tuple[Filter, int]]:
    """Every filter that lets something through beside those of other kinds, with how much; the ones that hold always."""
    found: list[tuple[Filter, int]] = []
    for kind in ("problem", "state", "thinking", "length", "alike", "difficulty", "category", "split"):
        others = tuple(one for one in filters if one.kind not in (kind, "state"))
        counts = _counts(table, kind, _mask(table, others))
        found += [(Filter(kind, value), count) for value, count in counts if count or Filter(kind, value) in filters]
    return found


def _mask(table: RecordTable, filters: Filters) -> np.ndarray:
    """(N,) bool, a record each."""
    mask = np.ones(len(table), dtype=bool)
    for one in filters:
        mask &= _passes(table, one)
    return mask


def _passes(table: RecordTable, wanted: Filter) -> np.ndarray:
    match wanted:
        case Filter("thinking", value):
            return table.thinking() == THINKING_KINDS.index(value)
        case Filter("length", _):
            return table.token_counts() > table.cutoff
        case Filter("difficulty" | "category" as name, value):
            codes, values = table.labels(name)
            return codes == (values.index(value) if value in values else -1)
        case Filter("split", value):
            return np.asarray(table.split.assignment) == value if table.split else np.zeros(len(table), dtype=bool)
        case Filter("problem", code):
            return _among(table, _with_problem(table).get(code, []))
        case Filter("alike", "exact"):
            return _among(table, table.repeats())
        case Filter("alike", "near"):
            return _among(table, [row for members in table.near.values() for row in members])
        case Filter("alike", group):
            return _among(table, table.near.get(int(group), []))
    raise AssertionError(wanted)


def _counts(table: RecordTable, kind: str, mask: np.ndarray) -> list[tuple[str, int]]:
    """Values of a kind and the records of `mask` that have them."""
    match kind:
        case "problem":
            rows = _with_problem(table)
            order = sorted(rows, key=lambda code: (code != ANY, -len(rows[code])))
            return [(code, int(mask[np.asarray(rows[code], dtype=np.int64)].sum())) for code in order]
        case "state":
            left_out = sum(map(table.is_left_out, table.changed_rows()))
            changed = len(table.changed_rows()) - left_out
            return [("unusable", len(table.dataset.refused)), ("changed", changed), ("left_out", left_out)]
        case "thinking":
            counts = np.bincount(table.thinking()[mask], minlength=len(THINKING_KINDS))
            return [(value, int(counts[THINKING_KINDS.index(value)])) for value in ("with", "without", "faulty")]
        case "difficulty" | "category":
            codes, values = table.labels(kind)
            counts = np.bincount(codes[mask], minlength=len(values))
            return sorted(((value, int(counts[code])) for code, value in enumerate(values) if value), key=lambda pair: -pair[1])
        case "split":
            counted = Counter(np.asarray(table.split.assignment)[mask].tolist()) if table.split else Counter()
            return list(counted.items())
        case "length":
            return [("over", int((_passes(table, Filter("length", "over")) & mask).sum()))]
    return [(value, int((_passes(table, Filter("alike", value)) & mask).sum())) for value in ("exact", "near")]


def _with_problem(table: RecordTable) -> dict[str, list[int]]:
    """Code → records that have the problem; ANY → those with one at all or over the cut-off."""
    found: dict[str, list[int]] = {}
    for row in [*table.remarks, *(row for row in table.changed_rows() if row >= 0 and row not in table.remarks)]:
        for code in {fault.code for fault in table.problems(row)}:
            found.setdefault(code, []).append(row)
    over = np.flatnonzero(table.token_counts() > table.cutoff).tolist()
    if anything := sorted({*over, *(row for rows in found.values() for row in rows)}):
        found[ANY] = anything
    return found


def _among(table: RecordTable, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    mask = np.zeros(len(table), dtype=bool)
    mask[np.asarray(rows, dtype=np.int64)] = True
    return mask
