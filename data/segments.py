"""Texts encoded stretch by stretch between control tokens, each distinct stretch once.

A tokenizer cuts a text at its added tokens before it does anything else, so the ids of a whole are those of its stretches in a row,
as long as no added token swallows what stands beside it. A conversation of many turns, each with all before it as its prompt, so
costs what its text costs, and not its square. Guards against typed control tokens are `data.tokenizer`.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from functools import cache
from itertools import accumulate

import tokenizers

from data.quick_encoder import QuickEncoder, plain_ids, quick_encoder

_MANY = 2_000_000
"""Characters after which a quick encoder has paid for being made."""


class Segmenter:
    """Made once a tokenizer; `is_exact` says whether its ids may be put together from stretches."""

    def __init__(self, backend: tokenizers.Tokenizer, token_bytes: Callable[[int], bytes] | None):
        """token_bytes: what a token stands for, of a byte-level tokenizer."""
        added = backend.get_added_tokens_decoder()
        self._backend, self._token_bytes = backend, token_bytes and cache(token_bytes)
        self._ids = {token.content: id for id, token in added.items()}
        self.added = frozenset(added)
        self.is_exact = bool(added) and not any(t.lstrip or t.rstrip or t.single_word or t.normalized for t in added.values())
        longest_first = sorted(self._ids, key=lambda text: (-len(text), text))
        self._pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")") if self._ids else re.compile("(?!)")
        self._characters = 0
        self._quick: QuickEncoder | None = None

    def encode(self, texts: Sequence[str]) -> list["Segmented"]:
        cut = [self._pattern.split(text) for text in texts]
        plain = list(dict.fromkeys(piece for pieces in cut for piece in pieces[::2] if piece))
        known = dict(zip(plain, self._encode_plain(plain), strict=True))
        known |= {text: array("i", [id]) for text, id in self._ids.items()} | {"": array("i")}
        return [Segmented(pieces, [known[piece] for piece in pieces], self) for pieces in cut]

    def _encode_plain(self, pieces: Sequence[str]) -> "list[array[int]]":
        """Ids of pieces without control tokens; a tokenizer that has much to do gets its quick encoder, where there is one."""
        before, self._characters = self._characters, self._characters + sum(map(len, pieces))
        if before < _MANY <= self._characters:
            self._quick = quick_encoder(self._backend)
        return self._quick.encode(pieces) if self._quick else plain_ids(self._backend, pieces)

    def token_in(self, piece: str, ids: Sequence[int], position: int) -> int:
        """Number of the token of a stretch that holds its character at `position`; the next one where a normaliser removed it."""
        if self._token_bytes is not None and (token := self._walk(piece[: position + 1], ids, position)) is not None:
            return token
        encoding = self._backend.encode(piece, add_special_tokens=False)
        tokens = (encoding.char_to_token(character) for character in range(position, len(piece)))
        return next((token for token in tokens if token is not None), len(ids))

    def _walk(self, head: str, ids: Sequence[int], position: int) -> int | None:
        """The same by counting bytes; None when the tokens do not spell the text as it is."""
        assert self._token_bytes is not None
        wanted, first = head[:position].encode("utf-8", "surrogatepass"), head[position].encode("utf-8", "surrogatepass")
        spelt = [*map(self._token_bytes, ids)]
        number = bisect_right([*accumulate(map(len, spelt))], len(wanted))
        found = b"".join(spelt[: number + 1])
        is_spelt = len(found) > len(wanted) and found.startswith(wanted) and first.startswith(found[len(wanted) :][: len(first)])
        return number if is_spelt else None


def first_of(tokens: "array[int]", ids: Collection[int]) -> int | None:
    """Number of the first of `tokens` that is one of `ids`, None where there is none."""
    return min((tokens.index(id) for id in ids if id in tokens), default=None)


class Segmented:
    """Ids of one text; pieces: plain ones and added tokens in turn."""

    def __init__(self, pieces: list[str], ids: "list[array[int]]", segmenter: Segmenter):
        self._pieces, self._parts, self._segmenter = pieces, ids, segmenter
        self.ids = array("i")
        for part in ids:
            self.ids.extend(part)

    def first_of(self, ids: Collection[int]) -> int | None:
        """Number of the first token that is one of `ids`, None where there is none. Added tokens are found without going through text."""
        before, plain = 0, [id for id in ids if id not in self._segmenter.added]
        for number, part in enumerate(self._parts):
            if number % 2:
                if part[0] in ids:
                    return before
            elif plain and (found := first_of(part, plain)) is not None:
                return before + found
            before += len(part)
        return None

    def token_at(self, position: int) -> int:
        """Number of the token that holds the character at `position`; the next one where a normaliser removed it."""
        start, before = 0, 0
        for number, (piece, ids) in enumerate(zip(self._pieces, self._parts, strict=True)):
            if position < start + len(piece):
                return before + (0 if number % 2 else self._segmenter.token_in(piece, ids, position - start))
            start += len(piece)
            before += len(ids)
        return before
