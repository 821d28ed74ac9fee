"""Record layouts of the field (alpaca, ShareGPT, messages, query and response) turned into conversations.

One reader a layout; what is missing, empty or of the wrong type becomes a `Problem` that names field and value.
Every assistant text goes through `split_thinking`. Nothing here reads files or knows line numbers.
"""

import contextlib
import json
import re
import reprlib
import shlex
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from data import thinking
from data.conversation import Conversation, Role, Turn
from data.errors import DataError
from data.thinking import split_thinking

FORMATS = ("alpaca", "sharegpt", "messages", "query_response")

QUESTION_FIELDS = ("query", "question", "prompt", "problem")
RESPONSE_FIELDS = ("response", "answer", "std_answer", "completion", "output")
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "thought", "cot", "Complex_CoT", "chain_of_thought")
CATEGORY_FIELDS = ("category", "class", "topic")
SHAREGPT_FIELDS = ("conversations", "conversation")
SOURCE_FIELDS = ("conversation_id", "dialogue_id", "dialog_id", "session_id", "source_id", "document_id", "doc_id", "source")
"""What says that records belong together, for a split that keeps them so."""
LIST_COLUMNS = (*SHAREGPT_FIELDS, "messages", "history", "instances", "tools")
"""Fields that hold lists; a table has them as JSON in a cell."""
ROLES: dict[str, Role] = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "bot": "assistant", "model": "assistant",
    "chatgpt": "assistant", "system": "system", "developer": "system", "observation": "tool", "tool": "tool",
    "function_response": "tool", "tool_response": "tool", "function": "tool",
}  # fmt: skip
_KNOWN_FIELDS = frozenset({
    "instruction", "input", "output", "system", "difficulty", "history", "messages", "tools", "instances",
    *QUESTION_FIELDS, *RESPONSE_FIELDS, *REASONING_FIELDS, *CATEGORY_FIELDS, *SHAREGPT_FIELDS, *SOURCE_FIELDS,
})  # fmt: skip
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2

CALL_ROLES = ("function_call", "tool_call")
"""ShareGPT's turns of the assistant that hold a call as JSON."""


class Problem(NamedTuple):
    """code: stable name.  text: one sentence with the value seen and the cure.  is_remark: the record stays usable."""

    field: str
    code: str
    text: str
    is_remark: bool = False


class RecordError(Exception):
    """A record that cannot be a conversation, for one reason."""

    def __init__(self, field: str, code: str, text: str):
        super().__init__(text)
        self.problem = Problem(field, code, text)


class Said(NamedTuple):
    """One turn as a layout gives it, before tags are taken apart."""

    field: str
    role: Role
    content: str
    reasoning: str | None = None


def detect(raw: dict[str, Any]) -> str | None:
    """The layout of a record, None when it is none of `FORMATS`."""
    if any(isinstance(raw.get(field), list) for field in SHAREGPT_FIELDS):
        return "sharegpt"
    if isinstance(raw.get("messages"), list):
        return "messages"
    if "instruction" in raw:
        return "alpaca"
    if any(field in raw for field in QUESTION_FIELDS):
        return "query_response"
    return None


def is_known_field(name: str) -> bool:
    """Whether some layout knows a field of this name."""
    return name in _KNOWN_FIELDS


def check_columns(columns: Iterable[str]) -> None:
    """Raise DataError for a pair of data.columns that is not "name=theirs" with a name that some layout knows."""
    for pair in columns:
        ours, separator, theirs = pair.partition("=")
        if not separator or not theirs.strip() or not is_known_field(ours.strip()):
            known = ", ".join(sorted(_KNOWN_FIELDS))
            raise DataError(f"data.columns: {pair!r} is not NAME=THEIRS, for example 'output=回答', with a NAME of: {known}")


def rename(raw: dict[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """The record with the fields of data.columns under the names they are to be read by."""
    pairs = [tuple(part.strip() for part in pair.split("=", 1)) for pair in columns]
    found = {ours: raw[theirs] for ours, theirs in pairs if theirs in raw}
    return {name: value for name, value in raw.items() if name not in {theirs for _, theirs in pairs}} | found if found else raw


def in_their_words(problem: Problem, columns: Iterable[str]) -> Problem:
    """A problem of a renamed record that calls the field by the name it has in the file."""
    for pair in columns:
        ours, theirs = (part.strip() for part in pair.split("=", 1))
        if re.match(rf"{re.escape(ours)}(?![^\[.])", problem.field):
            return problem._replace(field=theirs + problem.field[len(ours) :], text=problem.text.replace(f"'{ours}", f"'{theirs}"))
    return problem


def records_in(value: Any) -> list[Any]:
    """The records one value of a file stands for: one, or one for each of its `instances` (self-instruct's layout)."""
    instances = value.get("instances") if isinstance(value, dict) else None
    if not isinstance(instances, list) or not instances or not all(isinstance(one, dict) for one in instances):
        return [value]
    common = {name: field for name, field in value.items() if name != "instances"}
    return [common | one for one in instances]


def convert(raw: dict[str, Any], format: str) -> tuple[Conversation | None, list[Problem]]:
    """The conversation of a record in `format` ("auto" detects it) and what is wrong with it; None when it cannot be used."""
    remarks: list[Problem] = []
    try:
        layout = detect(raw) if format == "auto" else format
        if layout is None:
            fields = ", ".join(list(raw)[:6]) or "none"
            known = "instruction/output, conversations, messages or query/response"
            text = f"no known layout; fields seen: {fields}; expected {known}; {_column_cure(raw)}"
            raise RecordError("", "unknown_format", text)
        return _conversation(raw, list(READERS[layout](raw)), remarks), remarks
    except RecordError as error:
        return None, [*remarks, error.problem]


def _column_cure(raw: dict[str, Any]) -> str:
    """All names that have to be told, with this record's own fields as examples: which is which only a person knows."""
    theirs = [name if re.fullmatch(r"[\w.-]+", name) else shlex.quote(name) for name in raw if not is_known_field(name)]
    question, answer = (theirs[0], theirs[-1]) if len(theirs) > 1 else (*theirs, "回答")[:2] if theirs else ("提问", "回答")
    if any(field in raw for field in RESPONSE_FIELDS):
        return f"name the field of the question by data.columns, for example --column query={question}"
    return f"name the fields of question and answer by data.columns, for example --column query={question} --column response={answer}"


def _conversation(raw: dict[str, Any], said: list[Said], remarks: list[Problem]) -> Conversation:
    """The turns in order. System turns at the start become the system prompt; turns after the last answer are left out."""
    systems = [raw["system"]] if _is_text(raw, "system") else []
    while said and said[0].role == "system":
        systems.append(said.pop(0).content)
    while said and said[-1].role != "assistant":
        said.pop()
    if not said:
        raise RecordError("", "no_answer", "no assistant turn, so there is nothing to learn; add an answer or delete the record")
    if said[0].role != "user":
        text = f"the first turn is of role {said[0].role!r}; a conversation starts with the user"
        raise RecordError(said[0].field, "starts_without_question", text)
    turns = tuple(_turn(one, remarks) for one in said)
    system = "\n".join(text for text in systems if text.strip())
    labels = (_label(raw, names) for names in (("difficulty",), CATEGORY_FIELDS))
    return Conversation(turns, system, *labels, _tools(raw), _source(raw))


def _turn(said: Said, remarks: list[Problem]) -> Turn:
    """One turn with its reasoning apart. Raises RecordError for tags in doubt and for an empty text."""
    content, reasoning = said.content, said.reasoning
    if said.role == "assistant":
        split = split_thinking(content)
        for code in split.faults:
            if code not in thinking.REMARKS:
                raise RecordError(said.field, code, f"{thinking.FAULTS[code]}: {_shown(content)}")
            remarks.append(Problem(said.field, code, thinking.FAULTS[code], is_remark=True))
        reasoning = _one_reasoning(said, split.reasoning)
        content = split.answer
    if not content.strip():
        what = "has nothing after its thinking block" if reasoning else "is empty"
        raise RecordError(said.field, "empty", f"{said.field!r} {what}; fill it in or delete the record")
    return Turn(said.role, content, reasoning)


def _one_reasoning(said: Said, tagged: str | None) -> str | None:
    """The reasoning from its own field or from the tags; both at once leave a doubt."""
    own = (said.reasoning or "").strip()
    if not own:
        return tagged
    if tagged:
        raise RecordError(said.field, "two_reasonings", "the record has a reasoning field and a thinking block in the answer; keep one")
    if thinking.has_tag(own):
        inner = split_thinking(own)
        if inner.reasoning and not inner.answer:
            return inner.reasoning
        raise RecordError(said.field, "tag_in_reasoning", f"the reasoning field holds a thinking tag: {_shown(own)}; remove the tag")
    return own


def _read_alpaca(raw: dict[str, Any]) -> Iterable[Said]:
    history = raw.get("history") or []
    if not isinstance(history, list):
        raise _wrong_type("history", history, "a list of [question, answer] pairs")
    for number, pair in enumerate(history):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise _wrong_type(f"history[{number}]", pair, "a [question, answer] pair of texts")
        yield Said(f"history[{number}][0]", "user", pair[0])
        yield Said(f"history[{number}][1]", "assistant", pair[1])
    instruction, addition = _text(raw, "instruction", may_be_empty=True), raw.get("input") or ""
    if not isinstance(addition, str):
        raise _wrong_type("input", addition, "a text")
    yield Said("instruction", "user", "\n".join(part for part in (instruction, addition) if part))
    yield Said("output", "assistant", _text(raw, _first(raw, ("output", *RESPONSE_FIELDS))), _reasoning(raw))


def _read_query_response(raw: dict[str, Any]) -> Iterable[Said]:
    question, response = _first(raw, QUESTION_FIELDS), _first(raw, RESPONSE_FIELDS)
    yield Said(question, "user", _text(raw, question))
    yield Said(response, "assistant", _text(raw, response), _reasoning(raw))


def _read_sharegpt(raw: dict[str, Any]) -> Iterable[Said]:
    name = _first(raw, SHAREGPT_FIELDS)
    for field, turn in _turns(raw, name):
        role_field, text_field = ("from", "value") if "from" in turn else ("role", "content")
        role = _text(turn, role_field, f"{field}.")
        text = _text(turn, text_field, f"{field}.", may_be_empty=True)
        if role in CALL_ROLES:
            yield Said(f"{field}.{text_field}", "assistant", _call_text(text) if text.strip() else "", _reasoning(turn, f"{field}."))
        else:
            yield Said(f"{field}.{text_field}", _role(role, f"{field}.{role_field}"), text, _reasoning(turn, f"{field}."))


def _read_messages(raw: dict[str, Any]) -> Iterable[Said]:
    for field, turn in _turns(raw, "messages"):
        role = _role(_text(turn, "role", f"{field}."), f"{field}.role")
        content, reasoning = _content(turn, field)
        calls = [_call_text(json.dumps(call, ensure_ascii=False)) for call in _list(turn.get("tool_calls"), f"{field}.tool_calls")]
        said = "\n".join(part for part in (content, *calls) if part)
        yield Said(f"{field}.content", role, said, reasoning or _reasoning(turn, f"{field}."))


READERS: dict[str, Callable[[dict[str, Any]], Iterable[Said]]] = {
    "alpaca": _read_alpaca, "sharegpt": _read_sharegpt, "messages": _read_messages, "query_response": _read_query_response,
}  # fmt: skip


def _content(turn: dict[str, Any], field: str) -> tuple[str, str | None]:
    """Text and reasoning of a message whose content is a text, a list of typed parts, or null beside tool calls."""
    content = turn.get("content")
    if isinstance(content, str):
        return content, None
    if content is None and turn.get("tool_calls"):
        return "", None
    if not isinstance(content, list):
        raise _missing_or_wrong(turn, "content", f"{field}.", "a text or a list of parts")
    texts, reasonings = [], []
    for number, part in enumerate(content):
        kind, text = _part(part, f"{field}.content[{number}]")
        (reasonings if kind == "reasoning" else texts).append(text)
    return "\n".join(texts), "\n".join(reasonings) or None


def _part(part: Any, field: str) -> tuple[str, str]:
    if not isinstance(part, dict):
        raise _wrong_type(field, part, "an object with type and text")
    kind = part.get("type")
    text = next((part[name] for name in ("text", "value", "reasoning", "thinking", "content") if name in part), None)
    if kind not in ("text", "reasoning", "thinking", "tool_call"):
        raise RecordError(f"{field}.type", "unknown_part", f"{kind!r} parts cannot be trained on; known are text, reasoning and tool_call")
    if not isinstance(text, str):
        raise _wrong_type(f"{field}.text", text, "a text")
    if kind == "tool_call":
        return "text", _call_text(text)
    return ("text" if kind == "text" else "reasoning"), text


def _call_text(call: str) -> str:
    """A tool call as the assistant writes it: the form of Qwen's templates."""
    try:
        value = json.loads(call)
    except (ValueError, RecursionError):
        return f"<tool_call>\n{call}\n</tool_call>"
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = {key: value["function"][key] for key in ("name", "arguments") if key in value["function"]}
    if isinstance(value, dict) and isinstance(value.get("arguments"), str):
        # Arguments that are no JSON stay the text they are.
        with contextlib.suppress(ValueError, RecursionError):
            value = value | {"arguments": json.loads(value["arguments"])}
    return f"<tool_call>\n{json.dumps(value, ensure_ascii=False)}\n</tool_call>"


def _tools(raw: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The tool schemas of a record, from a list or from a JSON text."""
    tools = raw.get("tools")
    if isinstance(tools, str) and tools.strip():
        try:
            tools = json.loads(tools)
        except (ValueError, RecursionError):
            raise RecordError("tools", "wrong_type", f"not valid JSON: {_shown(tools)}; give a list of tool schemas") from None
    tools = _list(tools or None, "tools")
    if bad := next((tool for tool in tools if not isinstance(tool, dict)), None):
        raise _wrong_type("tools", bad, "a list of objects")
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in tools)


def _turns(raw: dict[str, Any], name: str) -> Iterable[tuple[str, dict[str, Any]]]:
    turns = raw.get(name)
    if not isinstance(turns, list):
        raise _missing_or_wrong(raw, name, "", "a list of turns")
    for number, turn in enumerate(turns):
        if not isinstance(turn, dict):
            raise _wrong_type(f"{name}[{number}]", turn, "an object")
        yield f"{name}[{number}]", turn


def _text(raw: dict[str, Any], name: str, prefix: str = "", may_be_empty: bool = False) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise _missing_or_wrong(raw, name, prefix, "a text")
    if not value.strip() and not may_be_empty:
        raise RecordError(prefix + name, "empty", f"{prefix + name!r} is empty; fill it in or delete the record")
    return value


def _reasoning(raw: dict[str, Any], prefix: str = "") -> str | None:
    """The reasoning field of a record or turn, whatever its name; None when there is none."""
    name = next((name for name in REASONING_FIELDS if raw.get(name) is not None), None)
    if name is None:
        return None
    if not isinstance(raw[name], str):
        raise _wrong_type(prefix + name, raw[name], "a text")
    return raw[name]


def _label(raw: dict[str, Any], names: Iterable[str]) -> str:
    """Difficulty or category as a text; a number is one too."""
    for name in names:
        value = raw.get(name)
        if isinstance(value, (dict, list)):
            raise _wrong_type(name, value, "a text or a number")
        if value not in (None, ""):
            return str(value)
    return ""


def _source(raw: dict[str, Any]) -> str:
    """What the record belongs to, with the field's name, since an id of a document is none of a conversation; '' for nothing."""
    for name in SOURCE_FIELDS:
        value = raw.get(name)
        if isinstance(value, (str, int)) and value != "":
            return f"{name}={value}"
    return ""


def _role(role: str, field: str) -> Role:
    if role.lower() not in ROLES:
        raise RecordError(field, "unknown_role", f"role {role!r} is not known; known are {', '.join((*ROLES, *CALL_ROLES))}")
    return ROLES[role.lower()]


def _first(raw: dict[str, Any], names: Iterable[str]) -> str:
    """The first of `names` that the record has, else the first of them."""
    names = tuple(names)
    return next((name for name in names if name in raw), names[0])


def _is_text(raw: dict[str, Any], name: str) -> bool:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong_type(name, value, "a text")
    return bool(value)


def _list(value: Any, field: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise _wrong_type(field, value, "a list")
    return value or []


def _missing_or_wrong(raw: dict[str, Any], name: str, prefix: str, wanted: str) -> RecordError:
    if name not in raw:
        seen = ", ".join(map(repr, list(raw)[:6])) or "none"
        cure = "" if prefix else f"; if another field holds it, name that by data.columns: --column {name}=THEIRS"
        return RecordError(prefix + name, "missing", f"{prefix + name!r} is missing; fields seen: {seen}{cure}")
    return _wrong_type(prefix + name, raw[name], wanted)


def _wrong_type(field: str, value: Any, wanted: str) -> RecordError:
    return RecordError(field, "wrong_type", f"{field!r} is {_shown(value)}; it must be {wanted}")


def _shown(value: Any) -> str:
    """A value short enough for a message, whatever its size or depth."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 80 else f"{value[:60]!r}… ({len(value)} characters)"
    return _SHORT.repr(value)
