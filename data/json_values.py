"""One JSON value from its bytes, strict where Python's json is lenient.

NaN, Infinity, doubled keys, lone surrogates, damaged bytes and bottomless nesting are refused with a sentence. Where a value
starts and ends in a file is `data.json_scan`.
"""

import json
import re
from typing import Any, NamedTuple

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FAULT = b"\0fault "
"""No JSON starts like this."""


class Value(NamedTuple):
    """fault: (code, sentence) instead of a value.  at: where in the bytes JSON breaks off, None when it does not."""

    value: Any = None
    fault: tuple[str, str] | None = None
    at: int | None = None


class _Refused(ValueError):
    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.fault = (code, text)


def decode(data: bytes) -> Value:
    """The value that all of `data` is, or what is wrong with it. Never raises, whatever the bytes."""
    if data.startswith(_FAULT):
        code, _, text = data.removeprefix(_FAULT).decode("utf-8", "replace").partition(" ")
        return Value(fault=(code, text))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return Value(fault=_DAMAGED)
    try:
        value = _DECODER.decode(text)
        if _ESCAPED_SURROGATE.search(data) and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
            return Value(fault=_LONE_SURROGATE)
        return Value(value)
    except _Refused as error:
        return Value(fault=error.fault)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at column {error.colno}"
        at = len(text[: error.pos].encode())
        return Value(fault=("broken_json", f"not valid JSON ({reason}); repair the record or delete it"), at=at)
    except RecursionError:
        return Value(fault=_TOO_DEEP)
    except ValueError as error:  # a whole number of more digits than Python reads
        return Value(fault=("broken_json", f"not readable JSON ({error}); repair the record or delete it"))


def fault_line(code: str, text: str) -> str:
    """What a converter of another format writes in place of a record that is broken; `decode` gives the fault."""
    return f"{_FAULT.decode()}{code} {' '.join(text.split())}"


def _no_constant(name: str) -> Any:
    raise _Refused("not_a_number", f"{name} is not JSON; write a number or null")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Refused("doubled_key", f"the key {double!r} stands more than once in one object; keep one")
    return result


_DAMAGED = ("bad_encoding", "the record holds bytes that are no UTF-8; save the file as UTF-8 again or repair the record")
_LONE_SURROGATE = ("lone_surrogate", "the record holds half of a surrogate pair (\\ud800 to \\udfff); repair the character")
_TOO_DEEP = ("too_deep", "nested too deeply to be a record; flatten it")
_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_without_doubles)
