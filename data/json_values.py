"""One JSON value from its bytes, strict where Python's json is lenient.

NaN, Infinity, numbers too large, doubled keys, lone surrogates, damaged bytes and bottomless nesting are refused with a sentence and
the field. Where a value starts and ends in a file is `data.json_scan`.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from data.fields import path_name

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FAULT = b"\0fault "
"""No JSON starts like this."""


class Refusal(NamedTuple):
    """code: stable name.  text: one sentence with the cure.  field: what it is about, '' for the whole value or where that is unknown."""

    code: str
    text: str
    field: str = ""


class Value(NamedTuple):
    """fault: why there is no value.  at: where in the bytes JSON breaks off, None when it does not."""

    value: Any = None
    fault: Refusal | None = None
    at: int | None = None


class _Refused(ValueError):
    def __init__(self, code: str, text: str, field: str = ""):
        super().__init__(text)
        self.fault = Refusal(code, text, field)


def decode(data: bytes) -> Value:
    """The value that all of `data` is, or what is wrong with it. Never raises, whatever the bytes."""
    if data.startswith(_FAULT):
        code, _, text = data.removeprefix(_FAULT).decode("utf-8", "replace").partition(" ")
        return Value(fault=Refusal(code, text))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Value(fault=_in_field(_DAMAGED, data.decode("utf-8", "surrogateescape"), _is_half))
    try:
        value = _DECODER.decode(text)
        if _ESCAPED_SURROGATE.search(data) and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
            return Value(fault=_in_field(_LONE_SURROGATE, text, _is_half))
        return Value(value)
    except _Refused as error:
        return Value(fault=error.fault if error.fault.field else _in_field(error.fault, text, _is_no_number))
    except json.JSONDecodeError as error:
        reason = f"{error.msg.removesuffix(' at')} at column {error.colno}"
        at = len(text[: error.pos].encode())
        return Value(fault=Refusal("broken_json", f"not valid JSON ({reason}); repair the record or delete it"), at=at)
    except RecursionError:
        return Value(fault=_TOO_DEEP)
    except ValueError:  # the only one left: a whole number of more digits than Python reads
        return Value(fault=_in_field(_TOO_MANY_DIGITS, text, _is_no_number))


def fault_line(code: str, text: str) -> str:
    """What a converter of another format writes in place of a record that is broken; `decode` gives the fault."""
    return f"{_FAULT.decode()}{code} {' '.join(text.split())}"


def _in_field(fault: Refusal, text: str, is_bad: Callable[[Any], bool]) -> Refusal:
    """The fault with the name of the first field whose value is bad; reads the text again, leniently."""
    try:
        waiting: list[tuple[tuple[str | int, ...], Any]] = [((), _LENIENT.decode(text))]
    except (ValueError, RecursionError):
        return fault
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, (dict, list)):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [((*path, step), one) for step, one in inner][::-1]
        elif is_bad(value):
            return fault._replace(field=path_name(path).encode("utf-8", "replace").decode())
    return fault


def _is_half(value: Any) -> bool:
    return isinstance(value, str) and _SURROGATE.search(value) is not None


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _no_constant(name: str) -> Any:
    raise _Refused("not_a_number", f"{name} is not JSON; write a number or null")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused("not_a_number", f"{digits[:20]} is larger than any number a computer holds; write a smaller one, or a text")
    return number


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Refused("doubled_key", f"the key {double!r} stands more than once in one object; keep one", double)
    return result


_DIGITS = 4300
"""Python reads no whole number of more."""
_DAMAGED = Refusal("bad_encoding", "the record holds bytes that are no UTF-8; save the file as UTF-8 again or repair the record")
_LONE_SURROGATE = Refusal("lone_surrogate", "the record holds half of a surrogate pair (\\ud800 to \\udfff); repair the character")
_TOO_DEEP = Refusal("too_deep", "nested too deeply to be a record; flatten it")
_TOO_MANY_DIGITS = Refusal("not_a_number", f"a whole number of more than {_DIGITS:,} digits cannot be read; write it as a text")
_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_without_doubles)
_LENIENT = json.JSONDecoder(parse_int=lambda digits: math.inf if len(digits.lstrip('-')) > _DIGITS else 0)
