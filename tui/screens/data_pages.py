"""The record page and the token page of one record, as lines. What is known of the record stands above its texts."""

from data.errors import DanluError
from data.examples import build_examples
from data.terms import find_terms
from data.tokenizer import Tokenizer
from tui import gate
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.lines import Line, wrap
from tui.widgets.record_view import Look, record_lines
from tui.widgets.token_view import token_lines

SHOWN_ALIKE = 8


def record_page(table: RecordTable, record: int, look: Look, width: int) -> list[Line]:
    """Facts, problems, then prompt, thinking and answer apart, terms marked."""
    conversation = table.dataset.records[record].conversation
    marked = look._replace(terms=lambda text: [(term.start, term.end) for term in find_terms(text)])
    return record_lines(conversation, _facts(table, record), _problems(table, record), marked, width)


def token_page(
    table: RecordTable, record: int, turn: int, tokenizer: Tokenizer | None, reason: str, ascii_only: bool, width: int
) -> list[Line]:
    """Tokens of the record's example number `turn`. reason: why there is no tokenizer, '' while it is being looked for."""
    if tokenizer is None:
        return wrap([(gate.safe(reason), "warn") if reason else (tr("data.not_yet"), "dim")], width)
    conversation = table.dataset.records[record].conversation
    try:
        examples = build_examples(conversation, tokenizer, table.settings, record)
    except DanluError as error:
        return wrap([(gate.safe(str(error)), "bad")], width)
    heading: Line = [(tr("data.record", number=f"{record + 1:,}"), "title")]
    if len(examples) > 1:
        heading.append(("  " + tr("data.example", number=turn + 1, count=len(examples)), "label"))
    style = tr(f"data.tags_{tokenizer.thinking_style}", open=gate.safe(tokenizer.open_tag), close=gate.safe(tokenizer.close_tag))
    lines = [*wrap([*heading, ("  " + style, "dim")], width), []]
    return lines + token_lines(examples[min(turn, len(examples) - 1)], tokenizer, table.cutoff, width, ascii_only)


def examples_of(table: RecordTable, record: int) -> int:
    """How many examples a record gives: one for each of the assistant's turns."""
    return len(table.dataset.records[record].conversation.assistant_turns())


def _facts(table: RecordTable, record: int) -> Line:
    found = table.dataset.records[record]
    facts = [tr("data.line", line=f"{found.line:,}")]
    if tokens := table.tokens(record):
        facts.append(tr("data.tokens", count=f"{tokens:,}"))
    if (turns := examples_of(table, record)) > 1:
        facts.append(tr("data.answers", count=turns))
    facts += [gate.safe(label) for label in (found.conversation.difficulty, found.conversation.category) if label]
    if table.split:
        facts.append(tr("data.in_part", part=table.split.assignment[record]))
    return [(tr("data.record", number=f"{record + 1:,}"), "title"), ("  " + " · ".join(facts), "dim")]


def _problems(table: RecordTable, record: int) -> list[str]:
    """One sentence for each thing that is odd about the record."""
    sentences = [f"{fault.field}: {fault.text}" if fault.field else fault.text for fault in table.remarks.get(record, ())]
    if table.is_over_length(record):
        sentences.append(tr("data.is_over", count=f"{table.tokens(record):,}", cutoff=f"{table.cutoff:,}"))
    alike = [other for other in table.near_group(record) if other != record]
    if alike:
        numbers = ", ".join(f"{other + 1:,}" for other in alike[:SHOWN_ALIKE]) + (" …" if len(alike) > SHOWN_ALIKE else "")
        sentences.append(tr("data.is_exact" if record in table.exact else "data.is_near", records=numbers))
    return sentences
