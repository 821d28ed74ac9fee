"""The page of token lengths: percentiles and a histogram a part, the cut-off on them, and what it would cost. Lines only, no keys."""

from typing import NamedTuple

import numpy as np

from data.lengths import PARTS, percentiles
from tui import gate
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.length_histogram import draw_histogram
from tui.widgets.lines import Line, wrap

LABEL = 18
ALL_HEIGHT, ONE_HEIGHT = 3, 7


class Loss(NamedTuple):
    """What a cut-off does. over: longer examples.  dropped, cut: of those.  tokens: lost thinking and answer tokens, and all of them."""

    over: int
    dropped: int
    cut: int
    tokens: dict[str, tuple[int, int]]


def loss_at(lengths: np.ndarray, cutoff: int, over_length: str) -> Loss:
    """lengths: (N, 4) record, prompt, thinking, answer.  over_length: as in the configuration."""
    prompt, thinking, answer = (lengths[:, place].astype(np.int64) for place in (1, 2, 3))
    surplus = np.maximum(prompt + thinking + answer - cutoff, 0)
    over = surplus > 0
    # Of the thinking a token and its closing tag stay.
    can_cut = over & (surplus < thinking) if over_length == "truncate_thinking" else np.zeros(len(lengths), dtype=bool)
    dropped = over & ~can_cut
    lost_thinking = int(thinking[dropped].sum() + surplus[can_cut].sum())
    tokens = {"thinking": (lost_thinking, int(thinking.sum())), "answer": (int(answer[dropped].sum()), int(answer.sum()))}
    return Loss(int(over.sum()), int(dropped.sum()), int(can_cut.sum()), tokens)


def length_lines(table: RecordTable, no_tokenizer: str, part: str, is_ascii: bool, width: int, height: int) -> list[Line]:
    """The page for a size in cells. part: the histogram shown where there is no room for all. no_tokenizer: why nothing is counted."""
    title: Line = [(tr("data.summary_tokens"), "title")]
    if no_tokenizer:
        return [title, *wrap([(gate.safe(no_tokenizer), "warn")], width)]
    lengths = table.lengths()
    if not len(lengths):
        return [title, [(tr("data.not_yet"), "dim")]]
    longest = _longest_by_record(lengths)
    lines = [title, [(" " * LABEL + "".join(f"{name:>9}" for name in ("p50", "p95", "p99", "max")), "dim")]]
    lines += [_percentiles(name, longest) for name in PARTS]
    lines += [[], *_cutoff(table, lengths, width), []]
    shown = PARTS if height - len(lines) >= len(PARTS) * (ALL_HEIGHT + 3) else (part,)
    for name in shown:
        heading = tr("data.lengths_of", part=tr(f"data.token_{name}"))
        lines.append([(heading, "label"), ("" if len(shown) > 1 else "  " + tr("data.lengths_other"), "dim")])
        ordered = np.sort(_of_part(lengths, name)).tolist() or [0]
        lines += draw_histogram(ordered, table.cutoff, min(width, 100), ALL_HEIGHT if len(shown) > 1 else ONE_HEIGHT, is_ascii)
    return lines


def _of_part(lengths: np.ndarray, part: str) -> np.ndarray:
    """Tokens of each example; for thinking of those that have some."""
    values = lengths[:, 1:].sum(axis=1) if part == "whole" else lengths[:, PARTS.index(part) + 1]
    return values[values > 0] if part == "thinking" else values


def _longest_by_record(lengths: np.ndarray) -> np.ndarray:
    """Of each record its longest example: the last turn, with all before it as the prompt."""
    order = np.lexsort((-lengths[:, 1:].sum(axis=1), lengths[:, 0]))
    _, first = np.unique(lengths[order, 0], return_index=True)
    return lengths[order[first]]


def _percentiles(part: str, longest: np.ndarray) -> Line:
    found = percentiles(_of_part(longest, part).tolist())
    figures = "".join(f"{value:>9,}" for value in (found.p50, found.p95, found.p99, found.max))
    return [(gate.pad(tr(f"data.token_{part}"), LABEL), ""), (figures, "label" if part == "whole" else "")]


def _cutoff(table: RecordTable, lengths: np.ndarray, width: int) -> list[Line]:
    """The sentences that follow the cut-off as it is moved."""
    loss = loss_at(lengths, table.cutoff, table.over_length)
    share = 100 * loss.over / len(lengths)
    text = tr("data.cutoff_over", over=f"{loss.over:,}", share=f"{share:.1f}", total=f"{len(lengths):,}")
    fate = tr(f"data.cutoff_{table.over_length}", lost=f"{loss.dropped:,}") if loss.over else ""
    lines = wrap([(tr("data.cutoff", cutoff=f"{table.cutoff:,}"), "label"), (f" [ ]  {text} ", ""), (fate, "warn")], width)
    for part, (lost, whole) in loss.tokens.items():
        if whole:
            shares = tr("data.cutoff_tokens", part=tr(f"data.token_{part}"), lost=f"{lost:,}", share=f"{100 * lost / whole:.1f}")
            lines.append([("  " + shares, "warn" if lost else "good")])
    return lines
