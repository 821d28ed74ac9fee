"""Tokenizer and chat template of a model folder, without transformers and torch.

Two promises. Text from data never becomes a control token: a token such as `<|im_end|>` typed by a user is broken up with a
guard, a character the conversation does not hold, and its pieces are encoded apart. And what is decoded token by token is
whole characters. What the tokens of an example are for is `data.layout` and `data.examples`.
"""

import codecs
import hashlib
import json
import re
from array import array
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tokenizers

from data import chat_template
from data.byte_level import token_bytes
from data.chat_template import ChatTemplate
from data.conversation import Conversation
from data.errors import TemplateError
from data.noncharacters import free_noncharacter
from data.segments import Segmented, Segmenter, first_of
from data.thinking import CLOSE, OPEN

_TOKEN_VARIABLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
_PROBE = ("Question1", "Reasoning1", "Answer1")


class Guarded(NamedTuple):
    """Text whose control tokens are the template's own. guard: where to break it, '' when nothing has to be broken."""

    text: str
    guard: str

    @property
    def plain(self) -> str:
        """The text as a person reads it."""
        return self.text.replace(self.guard, "") if self.guard else self.text


class Tokenizer:
    """Ids and texts of one model. Made by `load_tokenizer`.

    thinking_style: "template" when the template writes reasoning with its own tags, else "plain": `<think>` tags written by us.
    opens_thinking: the generation prompt ends with the opening tag.  open_tag, close_tag: what stands around reasoning.
    eos_ids: the end of the assistant's turn first.  fingerprint: sha256 of everything that decides ids.
    """

    def __init__(self, backend: tokenizers.Tokenizer, template: ChatTemplate, special: dict[str, str], eos: Iterable[int], digest: str):
        self._backend, self._template = backend, template
        added = backend.get_added_tokens_decoder()
        self._added = {id: token.content for id, token in added.items()}
        self._is_byte_level = b"ByteLevel" in backend.decoder.__getstate__() if backend.decoder else False
        self._newline = self._prefix_to_strip()
        self._segmenter = Segmenter(backend, self._bytes if self._is_byte_level else None)
        self._guard_patterns = _guard_patterns([(token.content, token.special) for token in added.values()], template)
        self.fingerprint = hashlib.sha256(f"{digest}\0{template.source}\0{sorted(special.items())}".encode()).hexdigest()
        self._probe(eos)
        self.pad_id = self._pad(special.get("pad_token"))

    @property
    def vocabulary_size(self) -> int:
        """Ids are smaller than this."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; control tokens in it are control tokens, and none is added."""
        return self._backend.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[Guarded], *, continued: bool = False) -> list["Encoded | Segmented"]:
        """Ids of many guarded texts. continued: they follow other text, so nothing is put before their first token."""
        if self._newline or not self._segmenter.is_exact:
            return [*self._encode_with_offsets(texts, continued)]
        plain = iter(self._segmenter.encode([text.text for text in texts if not text.guard]))
        guarded = iter(self._encode_with_offsets([text for text in texts if text.guard], continued))
        return [next(guarded if text.guard else plain) for text in texts]

    def _encode_with_offsets(self, texts: Sequence[Guarded], continued: bool) -> list["Encoded"]:
        pieces: list[str] = []
        counts: list[int] = []
        for text in texts:
            parts = text.text.split(text.guard) if text.guard else [text.text]
            # Every piece but the first of a text that starts one follows other text.
            pieces += [(self._newline if continued or number else "") + part for number, part in enumerate(parts)]
            counts.append(len(parts))
        encodings = iter(self._backend.encode_batch(pieces, add_special_tokens=False))
        return [
            Encoded([next(encodings) for _ in range(count)], text, len(self._newline) if self._newline else 0, continued)
            for text, count in zip(texts, counts, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, control tokens shown; bytes that are no whole character become U+FFFD."""
        if not self._is_byte_level:
            return self._backend.decode(list(ids), skip_special_tokens=False)
        return b"".join(self._bytes(id) for id in ids).decode("utf-8", "replace")

    def decode_stream(self) -> "DecodeStream":
        """A decoder for ids that come one at a time."""
        return DecodeStream(self)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """One readable piece of text for each token; bytes of a split character as \\xNN."""
        if not self._is_byte_level:
            return [self._backend.decode([id], skip_special_tokens=False) or (self._backend.id_to_token(id) or f"<{id}>") for id in ids]
        return [self._bytes(id).decode("utf-8", "backslashreplace") for id in ids]

    def render(self, conversation: Conversation, add_generation_prompt: bool = False) -> str:
        """The conversation as the template writes it, for people to read."""
        return self.render_guarded(conversation, add_generation_prompt).plain

    def render_guarded(self, conversation: Conversation, add_generation_prompt: bool, guard: str | None = None) -> Guarded:
        """The conversation as the template writes it, control tokens of its texts broken. Raises TemplateError."""
        guard = self.guard_for(conversation) if guard is None else guard
        messages = [self._message(turn.role, turn.content, turn.reasoning, guard) for turn in conversation.turns]
        if conversation.system:
            messages.insert(0, self._message("system", conversation.system, None, guard))
        tools = _guard_all(list(conversation.tools), self._guard_patterns["user"], guard) if conversation.tools else None
        return Guarded(self._template.render(messages, tools, add_generation_prompt), guard)

    def guard_for(self, conversation: Conversation) -> str:
        """A character that is in none of the texts, or '' when they hold no control token."""
        tools = json.dumps(conversation.tools, ensure_ascii=False) if conversation.tools else ""
        texts = [("system", conversation.system), ("tool", tools)]
        texts += [(turn.role, text) for turn in conversation.turns for text in (turn.content, turn.reasoning or "")]
        # What no user may write holds all that the assistant may not: one look at all texts, and hardly ever one at each.
        if not self._guard_patterns["user"].search("\n".join(text for _, text in texts)):
            return ""
        if not any(self.control_tokens_in(text, role) for role, text in texts):
            return ""
        return free_character(text for _, text in texts)

    def guard_text(self, text: str, role: str, guard: str) -> str:
        """`text` with the control tokens that its author may not write broken by `guard`."""
        if not guard:
            return text
        return self._guard_pattern(role).sub(lambda token: token[0][0] + guard + token[0][1:], text)

    def control_tokens_in(self, text: str, role: str = "user") -> list[str]:
        """The control tokens in a text from data that its author may not write, in order."""
        return self._guard_pattern(role).findall(text)

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        """Ids of a conversation ending in the generation prompt: what the model is given to go on from."""
        return list(self.encode_batch([self.render_guarded(conversation, add_generation_prompt=True)])[0].ids)

    def writes_tools(self) -> bool:
        """Whether the template shows the model the tools it may call."""
        return "tools" in self._template.source

    def _guard_pattern(self, role: str) -> re.Pattern[str]:
        return self._guard_patterns["assistant" if role == "assistant" else "user"]

    def _message(self, role: str, content: str, reasoning: str | None, guard: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": role, "content": self.guard_text(content, role, guard)}
        if reasoning and self.thinking_style == "template":
            message["reasoning_content"] = self.guard_text(reasoning, role, guard)
        return message

    def _bytes(self, id: int) -> bytes:
        if id in self._added:
            return self._added[id].encode()
        token = self._backend.id_to_token(id)
        # The model's embedding may be larger than the vocabulary, and a young model does draw such an id.
        return token_bytes(token) if token is not None else f"<{id}>".encode()

    def _prefix_to_strip(self) -> str:
        """A newline when this tokenizer puts a space before a text's first word (SentencePiece), else ''."""
        alone, after = self.encode("x"), self.encode("\nx")
        newline = self.encode("\n")
        return "\n" if after[len(newline) :] != alone and after[: len(newline)] == newline else ""

    def _probe(self, configured_eos: Iterable[int]) -> None:
        """Find out by rendering how this template writes reasoning and ends a turn."""
        self.thinking_style, self.open_tag, self.close_tag = "template", OPEN, CLOSE
        question, reasoning, answer = _PROBE
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer, "reasoning_content": reasoning}]
        prompt = self._template.render(messages[:1], None, True)
        full = self._template.render(messages, None, False)
        if answer not in full:
            origin = self._template.origin
            raise TemplateError(f"{origin}: the chat template does not write the assistant's turn; use the model's chat version")
        start, end = full.find(reasoning), full.rfind(answer)
        if 0 <= start < end:
            self.opens_thinking = full.startswith(prompt) and start == len(prompt)
            opening = prompt if self.opens_thinking else full[len(prompt) : start]
            self.open_tag = opening.strip().rpartition("\n")[2]
            self.close_tag = full[start + len(reasoning) : end].strip()
        else:
            self.thinking_style = "plain"
            self.opens_thinking = prompt.rstrip().endswith(OPEN)
        tail = self.encode(full[end + len(answer) :])
        turn_end = [id for id in tail if id in self._added][:1]
        self.eos_ids = tuple(dict.fromkeys([*turn_end, *configured_eos]))

    def _pad(self, token: str | None) -> int:
        """The configured padding token unless it ends the assistant's turn; then another that ends nothing, where there is one."""
        id = self._backend.token_to_id(token) if token else None
        if id is not None and id not in self.eos_ids[:1]:
            return id
        usable = [id for id in sorted(self._added) if id not in self.eos_ids]
        named = [id for id in usable if re.search("pad|endoftext|end_of_text|unk", self._added[id])]
        return next(iter([*named, *self.eos_ids]), 0)


class Encoded:
    """Ids of one guarded text, with the way back from characters to tokens. Positions count the guards."""

    def __init__(self, encodings: Sequence[tokenizers.Encoding], text: Guarded, prefix: int, continued: bool):
        self._encodings, self._guard = encodings, text.guard
        # Characters and tokens of the newline that kept SentencePiece from adding a space, per piece.
        self._prefix = [prefix if continued or number else 0 for number in range(len(encodings))]
        self._skip = [(encoding.char_to_token(0) or 0) + 1 if drop else 0 for encoding, drop in zip(encodings, self._prefix, strict=True)]
        self.ids = array("i", (id for encoding, skip in zip(encodings, self._skip, strict=True) for id in encoding.ids[skip:]))
        self._text = text.text

    def first_of(self, ids: Collection[int]) -> int | None:
        """Number of the first token that is one of `ids`, None where there is none."""
        return first_of(self.ids, ids)

    def token_at(self, position: int) -> int:
        """Number of the token that holds the character at `position`; the next one where a normaliser removed it."""
        start, before = 0, 0
        pieces = self._text.split(self._guard) if self._guard else [self._text]
        for piece, encoding, prefix, skip in zip(pieces, self._encodings, self._prefix, self._skip, strict=True):
            if position < start + len(piece):
                for character in range(position - start + prefix, len(piece) + prefix):
                    if (token := encoding.char_to_token(character)) is not None:
                        return before + token - skip
            start += len(piece) + 1
            before += len(encoding.ids) - skip
        return before


class DecodeStream:
    """Text of ids that come one at a time; a character appears when its last byte has come."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._stream = None if tokenizer._is_byte_level else tokenizers.decoders.DecodeStream(skip_special_tokens=False)

    def push(self, id: int) -> str:
        """The text that token `id` completes, often one character, sometimes ''."""
        if self._stream is not None:
            return self._stream.step(self._tokenizer._backend, id) or ""
        return self._utf8.decode(self._tokenizer._bytes(id))

    def finish(self) -> str:
        """What an unfinished character at the end comes to: '' or U+FFFD."""
        return "" if self._stream is not None else self._utf8.decode(b"", final=True)


def load_tokenizer(folder: Path | str) -> Tokenizer:
    """The tokenizer of a model folder. Raises TemplateError when tokenizer.json or a chat template is missing or unusable."""
    folder = Path(folder)
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise TemplateError(f"{folder}: has no tokenizer.json; use a model folder that has one (save_pretrained writes it)")
    try:
        backend = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:
        # The Rust side raises plain Exception.
        raise TemplateError(f"{file}: is not a tokenizer this version can read ({error}); fetch the model again") from error
    backend.no_truncation()
    backend.no_padding()
    config = _read_json(folder / "tokenizer_config.json")
    _add_missing_tokens(backend, config)
    special = {name: text for name in _TOKEN_VARIABLES if (text := _token_text(config.get(name)))}
    source, origin = chat_template.find_source(folder, config, {token.content for token in backend.get_added_tokens_decoder().values()})
    # transformers passes a token that is not set as nothing at all; jinja then writes ''.
    template = ChatTemplate(source, special, origin)
    return Tokenizer(backend, template, special, _eos_ids(folder, backend, special), hashlib.sha256(file.read_bytes()).hexdigest())


def free_character(texts: Iterable[str], other_than: str = "") -> str:
    """A noncharacter that is in none of `texts`."""
    free = free_noncharacter([*texts, other_than])
    if free is None:
        raise TemplateError("a conversation holds every one of the noncharacters U+FDD0 to U+FDEF; remove them, they are no text")
    return free


def _guard_patterns(added: Iterable[tuple[str, bool]], template: ChatTemplate) -> dict[str, re.Pattern[str]]:
    """Which tokens no user, and which no assistant may write.

    Control tokens are the special ones and those the template writes itself; runs of spaces and such are plain vocabulary.
    An assistant does write `<tool_call>`, but neither thinking tags (they are taken apart before) nor the end of its turn.
    """
    literals = template.literals()
    control = [(text, special) for text, special in added if text.strip() and (special or text in literals or "think>" in text)]
    assistant = [text for text, special in control if special or "think>" in text]
    return {"user": _any_of([text for text, _ in control]), "assistant": _any_of(assistant)}


def _any_of(texts: list[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def _guard_all(value: Any, pattern: re.Pattern[str], guard: str) -> Any:
    """Texts anywhere in a tool's schema, guarded."""
    if isinstance(value, str):
        return pattern.sub(lambda token: token[0][0] + guard + token[0][1:], value) if guard else value
    if isinstance(value, dict):
        return {key: _guard_all(inner, pattern, guard) for key, inner in value.items()}
    return [_guard_all(inner, pattern, guard) for inner in value] if isinstance(value, (list, tuple)) else value


def _add_missing_tokens(backend: tokenizers.Tokenizer, config: dict[str, Any]) -> None:
    """Tokens that only tokenizer_config.json names; they must keep the ids it gives them."""
    known = backend.get_added_tokens_decoder()
    decoder = config.get("added_tokens_decoder")
    entries = decoder.items() if isinstance(decoder, dict) else ()
    for id, entry in sorted(((int(id), entry) for id, entry in entries), key=lambda pair: pair[0]):
        if id not in known and id <= backend.get_vocab_size():
            keys = ("single_word", "lstrip", "rstrip", "normalized", "special")
            backend.add_tokens([tokenizers.AddedToken(entry["content"], **{key: bool(entry[key]) for key in keys if key in entry})])


def _eos_ids(folder: Path, backend: tokenizers.Tokenizer, special: dict[str, str]) -> list[int]:
    """End tokens by generation_config.json, config.json and tokenizer_config.json, in this order."""
    found: list[int] = []
    for name in ("generation_config.json", "config.json"):
        value = _read_json(folder / name).get("eos_token_id")
        found += [id for id in (value if isinstance(value, list) else [value]) if isinstance(id, int)]
    named = backend.token_to_id(special["eos_token"]) if "eos_token" in special else None
    return [*found, named] if named is not None else found


def _token_text(value: Any) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise TemplateError(f"{path}: cannot be read ({error}); fetch the model again") from error
    return value if isinstance(value, dict) else {}
