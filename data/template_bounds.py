"""Bounds on what a chat template may build and how long it may go on: a template is foreign code, and a bomb is a short one.

Sizes are looked at before anything is built; every pass through a loop and every call of a macro counts. Reaching into Python is
the sandbox's business.
"""

import re
from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError

ALLOWANCE = 4_000_000
"""Characters a template may add to those of its conversation: the longest context of today."""

STEPS = 1_000_000
"""Passes through loops, calls of macros and numbers of range() in one rendering; templates of the field take a few per message."""
WORK = 1_000_000_000
"""Characters that all operations of one rendering may look at together: a second or two."""

UNBOUNDED_FILTERS = ("batch", "center", "format", "pprint", "slice", "truncate", "urlize", "wordwrap", "xmlattr")
"""Filters that build by a number they are given; no template of the field uses them."""

FREE_FILTERS = ("count", "first", "last", "length")
"""Filters that look at no element but one. Templates ask for the number of messages at each of them, which must not go through all."""

_WIDE = re.compile(r"[0-9]{6}|\*|\{[^{}]*\{")
"""Formats with a width of six digits, or one that stands elsewhere."""
_LARGE_NUMBER = 1000
_ELEMENT = 16
"""What an element of a list counts beside its text."""


class BoundedGenerator(CodeGenerator):
    """Compiles `a ~ b` to `environment.joined((a, b))`: jinja's own joining cannot be watched."""

    def visit_Concat(self, node: Any, frame: Any) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Call(self, node: Any, frame: Any, **options: Any) -> None:
        if isinstance(node.node, nodes.EnvironmentAttribute):  # our own, and often: not through the sandbox
            self.write(f"environment.{node.node.name}()")
        else:
            super().visit_Call(node, frame, **options)


def count_steps(template: nodes.Template) -> None:
    """Let every loop and macro of a parsed template call `environment.tick`, a name that no template can say or replace."""
    for node in template.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
        node.body.insert(0, nodes.ExprStmt(_tick(node)))
        if isinstance(node, nodes.For) and node.test is not None:
            node.test = nodes.And(_tick(node), node.test)
    template.set_environment(template.environment)  # for the nodes that are new


def _tick(node: nodes.Node) -> nodes.Expr:
    return nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None).set_lineno(node.lineno)


class Bounds:
    """Checks that raise SecurityError before a value larger than `limit` characters is built."""

    def __init__(self) -> None:
        self.start(ALLOWANCE)

    def start(self, limit: int) -> None:
        """A new rendering, whose values may be `limit` characters long."""
        self.limit, self.steps, self.work = limit, 0, 0

    def tick(self, steps: int = 1) -> bool:
        """Count a step; always True, so that it can stand in a condition."""
        self.steps += steps
        if self.steps > STEPS:
            raise SecurityError(f"loops of more than {STEPS} steps")
        return True

    def check(self, *values: Any) -> None:
        """The values as they are, each element of a list counted as often as it would be written."""
        size, waiting = 0, list(values)
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                waiting += [*value.keys(), *value.values()]
            elif isinstance(value, (list, tuple, set, frozenset)):
                waiting += value
            size += _ELEMENT + (len(value) if isinstance(value, str) else 0)
            self.check_length(size)
        self._spend(size)

    def _spend(self, work: int) -> None:
        self.work += work
        if self.work > WORK:
            raise SecurityError("more work than any conversation needs")

    def check_length(self, length: Any) -> None:
        """A length in characters; what is no number is not judged."""
        if isinstance(length, int) and length > self.limit:
            raise SecurityError(f"a value of more than {self.limit} characters")

    def check_operator(self, operator: str, left: Any, right: Any) -> None:
        """`left operator right`, for `+`, `*`, `**` and `%`."""
        if operator == "**" and not (_is_small(left) and _is_small(right)):
            raise SecurityError("a power of large numbers")
        if type(left) is str and type(right) is str and operator == "+":
            size = len(left) + len(right)
            self._spend(size)
            self.check_length(size)
        elif operator == "+":
            self.check(left, right)
        if operator == "%" and isinstance(left, str):
            self._check_format(left, "%", right)
        if operator == "*":
            for value, count in ((left, right), (right, left)):
                if isinstance(value, (str, list, tuple)) and isinstance(count, int):
                    self.check_length(len(value) * count)

    def checked_call(self, called: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments to call `called` with, which is looked at when it is a method of a text."""
        # The sandbox wraps str.format.
        method = getattr(called, "__wrapped__", called)
        text, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(text, (list, tuple, dict)):
            self._spend(len(text))
        if not isinstance(text, str):
            return args
        self.check(text)
        if name == "join" and args:
            parts = list(args[0])
            self.check(*parts)
            self.check_length(len(text) * len(parts))
            return (parts, *args[1:])
        if name == "replace" and len(args) > 1:
            self._check_replacement(text, args[0], args[1])
        elif name in ("center", "ljust", "rjust", "zfill", "expandtabs"):
            for width in args[:1]:
                self.check_length(width * (len(text) if name == "expandtabs" else 1))
        elif name in ("format", "format_map"):
            self._check_format(text, "{", args)
        elif name == "translate":
            raise SecurityError("str.translate")
        return args

    def bounded_filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The filter with a look at its arguments first. One that takes environment or context keeps jinja's mark for it."""

        def checked(*args: Any, **kwargs: Any) -> Any:
            values = args[1:] if hasattr(function, "jinja_pass_arg") else args
            self.check(*values, *kwargs.values())
            self._check_filter(name, values, kwargs)
            return function(*args, **kwargs)

        if hasattr(function, "jinja_pass_arg"):
            checked.jinja_pass_arg = function.jinja_pass_arg  # type: ignore[attr-defined]
        return checked

    def _check_filter(self, name: str, values: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        options = (*values[1:], *kwargs.values())
        if name == "replace" and len(options) > 1:
            self._check_replacement(values[0], options[0], options[1])
        if name == "join" and isinstance(values[0], (str, list, tuple)):
            self.check_length(len(values[0]) * sum(len(text) for text in options if isinstance(text, str)))
        if name in ("indent", "tojson"):
            for option in options:
                self.check_length(option * _LARGE_NUMBER if isinstance(option, int) else 0)

    def _check_replacement(self, text: Any, old: Any, new: Any) -> None:
        if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
            self.check_length(len(text) + text.count(old) * len(new))

    def _check_format(self, text: str, sign: str, values: Any) -> None:
        if _WIDE.search(text):
            raise SecurityError("a format with a width without bound")
        self.check(values)
        written = sum(len(str(value)) for value in (values if isinstance(values, tuple) else (values,)))
        self.check_length(text.count(sign) * (written + _ELEMENT))


def _is_small(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < _LARGE_NUMBER
