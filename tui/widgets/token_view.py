"""The token view: every token of one example in a cell of its own, with the part it plays in the loss.

Supervised tokens are underlined, so that the mask shows without colour. It draws an example; building it is `data.examples`.
"""

from collections.abc import Iterator, Sequence

from data.examples import ANSWER, MASKED, PROMPT, THINKING, Example
from data.tokenizer import Tokenizer
from tui import gate
from tui.texts import tr
from tui.widgets.lines import Line, wrap

STYLES = {PROMPT: "dim", THINKING: "thinking supervised", ANSWER: "answer supervised", MASKED: "masked"}
NAMES = {PROMPT: "prompt", THINKING: "thinking", ANSWER: "answer", MASKED: "masked"}


def token_lines(example: Example, tokenizer: Tokenizer, cutoff: int, width: int, ascii_only: bool = False) -> list[Line]:
    """Counts by part, the legend, then the tokens; a token that ends a line of text ends a line here."""
    edge = "|" if ascii_only else "│"
    head = [*_counts(example, cutoff, width), *_legend(edge, ascii_only, width), []]
    return [*head, *_token_rows(example, tokenizer, edge, width, ascii_only)]


def token_cells(ids: Sequence[int], tokenizer: Tokenizer, ascii_only: bool = False) -> list[str]:
    """What stands in each token's cell: of a character in several tokens ‥ for the first, itself for the one that completes it."""
    stream = tokenizer.decode_stream()
    partial, space = ("~", "_") if ascii_only else ("‥", "␣")
    cells = []
    for id in ids:
        text = stream.push(id)
        cells.append(gate.safe(text.replace(" ", space)) if text else partial)
    return cells


def _counts(example: Example, cutoff: int, width: int) -> list[Line]:
    total = len(example.ids)
    parts = [f"{tr(f'data.token_{NAMES[part]}')} {example.parts.count(part):,}" for part in (PROMPT, THINKING, ANSWER, MASKED)]
    supervised = tr("data.tokens_supervised", count=f"{example.supervised_tokens:,}", total=f"{total:,}")
    lines = wrap([(tr("data.tokens_seen", count=f"{total:,}"), "label"), ("  " + " · ".join(parts), "")], width)
    lines += wrap([(supervised, "")], width)
    if total > cutoff:
        lines += wrap([(tr("data.tokens_over", count=f"{total - cutoff:,}", cutoff=f"{cutoff:,}"), "warn")], width)
    return lines


def _legend(edge: str, ascii_only: bool, width: int) -> list[Line]:
    spans: Line = [(edge, "edge")]
    for part in (PROMPT, THINKING, ANSWER, MASKED):
        spans += [(tr(f"data.token_{NAMES[part]}"), STYLES[part]), (edge, "edge")]
    partial = "~" if ascii_only else "‥"
    return [*wrap([(tr("data.legend"), "dim"), (" ", ""), *spans], width), *wrap([(tr("data.legend_partial", sign=partial), "dim")], width)]


def _token_rows(example: Example, tokenizer: Tokenizer, edge: str, width: int, ascii_only: bool) -> Iterator[Line]:
    row, used = [(edge, "edge")], 1
    for part, cell in zip(example.parts, token_cells(example.ids, tokenizer, ascii_only), strict=True):
        style = STYLES[part] + (" special" if tokenizer.control_tokens_in(cell) else "")
        for text in _pieces(cell, max(width - 2, 4)):
            size = gate.cells(text) + 1
            if used + size > width:
                yield row
                row, used = [(edge, "edge")], 1
            row += [(text, style), (edge, "edge")]
            used += size
        if cell.endswith("␊"):
            yield row
            row, used = [(edge, "edge")], 1
    if len(row) > 1:
        yield row


def _pieces(text: str, width: int) -> Iterator[str]:
    """A token as it fits the width: whole, save for one that is wider than the screen."""
    while gate.cells(text) > width:
        head = gate.clip(text, width).removesuffix("…")
        yield head
        text = text[len(head) :]
    yield text
