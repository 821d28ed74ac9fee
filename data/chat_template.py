"""A model's chat template in a sandbox, rendered as transformers renders it, but without transformers.

The environment is that of transformers 5 (`utils/chat_template_utils.py`): same options, filters and globals. A template is
foreign code: it gets plain data only, and what grows or goes on without bound is stopped
(`data.template_bounds`).
"""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from data.errors import TemplateError
from data.template_bounds import ALLOWANCE, FREE_FILTERS, UNBOUNDED_FILTERS, BoundedGenerator, Bounds, count_steps

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")


class ChatTemplate:
    """A compiled template and the special tokens it may name (`bos_token` and the like)."""

    def __init__(self, source: str, variables: dict[str, str], origin: Path | str):
        """Raises TemplateError when `source` is no valid template. origin: where it came from, for messages."""
        self.source, self.origin = source, origin
        self._variables = variables
        self._environment = _Environment()
        try:
            self._template = self._environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, ValueError) as error:
            line = f":{error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise TemplateError(f"{origin}: the chat template{line} is not valid ({error}); take the one of the original model") from error

    def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, add_generation_prompt: bool) -> str:
        """The text of a conversation. Raises TemplateError when the template refuses it or grows without bound."""
        limit = ALLOWANCE + sum(len(text) for message in messages for text in message.values())
        self._environment.bounds.start(limit)
        written, length = [], 0
        try:
            for part in self._template.generate(
                messages=messages, tools=tools, documents=None, add_generation_prompt=add_generation_prompt, **self._variables
            ):
                written.append(part)
                length += len(part)
                if length > limit:
                    raise jinja2.TemplateError(f"it writes more than {limit} characters")
        except Exception as error:
            # Foreign code can raise anything; whatever it is, the template is what has to change.
            raise TemplateError(f"{self.origin}: the chat template cannot render a conversation ({_reason(error)})") from error
        return "".join(written)

    def literals(self) -> str:
        """All text the template writes by itself, pieces kept apart by NUL."""
        tree = self._environment.parse(self.source)
        texts = [node.data for node in tree.find_all(nodes.TemplateData)]
        texts += [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
        return "\0".join(texts)


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks what the assistant wrote; rendering needs only what is inside."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own interface

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Namespace(jinja2.utils.Namespace):
    """jinja's namespace without underscored names, which reach into CPython."""

    def __init__(*args: Any, **kwargs: Any):
        for name in dict(*args[1:], **kwargs):
            _refuse_underscore(name)
        jinja2.utils.Namespace.__init__(*args, **kwargs)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_underscore(name)
        super().__setitem__(name, value)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox with the globals of transformers and a bound on loops and repetitions."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    code_generator_class = BoundedGenerator

    def __init__(self) -> None:
        self.bounds = Bounds()
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols], finalize=self._written)
        self.filters["tojson"] = _tojson
        for name in UNBOUNDED_FILTERS:
            del self.filters[name]
        bounded = {name: self.bounds.bounded_filter(name, function) for name, function in self.filters.items()}
        self.filters = bounded | {name: self.filters[name] for name in FREE_FILTERS}
        del self.globals["lipsum"]
        self.globals |= {"raise_exception": _raise, "strftime_now": _now, "dict": _Dict(), "namespace": _Namespace, "range": self._range}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        self.bounds.check_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        return super().call(context, called, *self.bounds.checked_call(called, args), **kwargs)

    def tick(self) -> bool:
        """Called by every pass through a loop and every macro."""
        return self.bounds.tick()

    def joined(self, parts: tuple[Any, ...]) -> str:
        """What `a ~ b` gives."""
        self.bounds.check(*parts)
        return "".join(map(str, parts))

    def _written(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.bounds.check(value)
        return value

    def _range(self, *args: int) -> range:
        numbers = range(*args)
        self.bounds.tick(len(numbers))
        return numbers

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        count_steps(source)
        return super()._generate(source, *args, **kwargs)


class _Dict:
    """`dict(...)` and `dict.fromkeys(...)` without a class to climb out by."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict:
        return dict.fromkeys(*args)


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text if len(text) < 300 else f"{text[:300]}…"


def _refuse_underscore(name: str) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"the name {name!r}")


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(format: str) -> str:
    return datetime.now().strftime(format)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False) -> str:
    """As transformers has it: jinja's own filter would escape HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def find_source(folder: Path, config: dict[str, Any], tokens: Iterable[str]) -> tuple[str, Path]:
    """The template of a tokenizer folder and the file it stands in; ChatML where there is none but its tokens exist.

    Raises TemplateError when there is no template and none can be assumed.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8"), file
    source = config.get("chat_template")
    if isinstance(source, list):
        named = {entry.get("name"): entry.get("template") for entry in source if isinstance(entry, dict)}
        source = named.get("default") or next(iter(named.values()), None)
    if isinstance(source, str) and source.strip():
        return source, folder / "tokenizer_config.json"
    if all(token in tokens for token in CHATML_TOKENS):
        return CHATML, folder / "tokenizer.json"
    raise TemplateError(f"{folder}: has no chat template; use the model's instruct or chat version, or put a chat_template.jinja there")
