"""The record page and the token page of one row, as lines. What is known of the record stands above its texts."""

from data.errors import DanluError
from data.examples import build_examples
from data.fields import as_text
from data.terms import find_terms
from tui import gate
from tui.faults import fault_text
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.lines import Line, wrap
from tui.widgets.record_view import Look, raw_lines, record_lines
from tui.widgets.token_view import token_lines

SHOWN_ALIKE = 8


def record_page(table: RecordTable, row: int, look: Look, width: int) -> list[Line]:
    """Facts, problems, then prompt, thinking and answer apart, terms marked; of what cannot be used, the text as it stands there."""
    conversation = table.conversation(row)
    facts, problems = _facts(table, row), _problems(table, row)
    if conversation is None:
        return raw_lines(as_text(table.raw(row)), facts, problems, look, width)
    marked = look._replace(terms=lambda text: [(term.start, term.end) for term in find_terms(text)])
    return record_lines(conversation, facts, problems, marked, width)


def token_page(table: RecordTable, row: int, turn: int, reason: str, ascii_only: bool, width: int) -> list[Line]:
    """Tokens of the record's example number `turn`. reason: why there is no tokenizer, '' while it is being looked for."""
    tokenizer, conversation = table.tokenizer, table.conversation(row)
    if tokenizer is None:
        return wrap([(gate.safe(reason), "warn") if reason else (tr("data.not_yet"), "dim")], width)
    if conversation is None:
        return [line for problem in _problems(table, row) for line in wrap([(gate.safe(problem), "bad")], width)]
    try:
        examples = build_examples(conversation, tokenizer, table.settings, max(row, 0))
    except DanluError as error:
        return wrap([(gate.safe(str(error)), "bad")], width)
    heading: Line = [(_name(table, row), "title")]
    if len(examples) > 1:
        heading.append(("  " + tr("data.example", number=turn + 1, count=len(examples)), "label"))
    style = tr(f"data.tags_{tokenizer.thinking_style}", open=gate.safe(tokenizer.open_tag), close=gate.safe(tokenizer.close_tag))
    lines = [*wrap([*heading, ("  " + style, "dim")], width), []]
    return lines + token_lines(examples[min(turn, len(examples) - 1)], tokenizer, table.cutoff, width, ascii_only)


def examples_of(table: RecordTable, row: int) -> int:
    """How many examples a record gives: one for each of the assistant's turns."""
    conversation = table.conversation(row)
    return len(conversation.assistant_turns()) if conversation else 0


def _name(table: RecordTable, row: int) -> str:
    return tr("data.record", number=f"{row + 1:,}") if row >= 0 else tr("data.unusable_value")


def _facts(table: RecordTable, row: int) -> Line:
    facts = [tr("data.line", line=f"{table.line(row):,}")]
    if tokens := table.tokens(row):
        facts.append(tr("data.tokens", count=f"{tokens:,}"))
    if (turns := examples_of(table, row)) > 1:
        facts.append(tr("data.answers", count=turns))
    if conversation := table.conversation(row):
        facts += [gate.safe(label) for label in (conversation.difficulty, conversation.category) if label]
    if table.split and row >= 0:
        facts.append(tr("data.in_part", part=table.split.assignment[row]))
    line: Line = [(_name(table, row), "title"), ("  " + " · ".join(facts), "dim")]
    if (mark := table.mark(row)) in ("changed", "left_out"):
        line.append(("  " + tr(f"data.is_{mark}"), "warn"))
    return line


def _problems(table: RecordTable, row: int) -> list[str]:
    """One sentence for each thing that is odd about the record."""
    sentences = [fault_text(fault) for fault in table.problems(row)]
    if table.is_over_length(row):
        sentences.append(tr("data.is_over", count=f"{table.tokens(row):,}", cutoff=f"{table.cutoff:,}"))
    alike = [other for other in table.near_group(row) if other != row]
    if alike:
        numbers = ", ".join(f"{other + 1:,}" for other in alike[:SHOWN_ALIKE]) + (" …" if len(alike) > SHOWN_ALIKE else "")
        sentences.append(tr("data.is_exact" if table.is_exact(row) else "data.is_near", records=numbers))
    return sentences
