"""A window that moves over UTF-8 JSON bytes: it finds where a line or a value ends and holds no more than one of them.

It keeps count of offsets and lines, and can find the next line that starts like the one where a value began, so that reading can
go on after damage. What is valid is not known here.
"""

import re

from data.source import Source

LONGEST = 64 << 20
"""Bytes of one record; more is no record but a file whose brackets don't match."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}"]', re.DOTALL)
_SCALAR_END = re.compile(rb"[\s,\]}\[{:\"]")
_NOT_SPACE = re.compile(rb"[^ \t\r\n]")
_HEAD = 1 << 16


class Window:
    """offset: of the next byte in the source.  line_number: 1-based, of the same.  is_given_up: no way on was found after damage."""

    def __init__(self, source: Source):
        self._pieces = source.pieces()
        self._buffer, self._at = b"", 0
        self._base = source.start
        self.line_number = 1
        self._is_over = False
        self._mark: tuple[int, bytes] | None = None
        self.is_given_up = False

    @property
    def offset(self) -> int:
        return self._base + self._at

    def at_end(self) -> bool:
        return self._at >= len(self._buffer) and not self._more()

    def starts_with(self, byte: bytes) -> bool:
        return not self.at_end() and self._buffer[self._at : self._at + 1] == byte

    def head(self) -> bytes:
        """The next bytes, up to 64 KiB of them."""
        while len(self._buffer) - self._at < _HEAD and self._more():
            pass
        return self._buffer[self._at : self._at + _HEAD]

    def advance(self, count: int) -> None:
        """Move over `count` bytes that are in the window."""
        self.line_number += self._buffer.count(b"\n", self._at, self._at + count)
        self._at += count

    def skip_space(self) -> None:
        while True:
            found = _NOT_SPACE.search(self._buffer, self._at)
            self.advance((found.start() if found else len(self._buffer)) - self._at)
            if found or not self._more():
                return

    def line(self) -> bytes:
        """The rest of the current line, not taken; of a long one its beginning."""
        end = self._line_end()
        return self._buffer[self._at : end if end is not None else self._at + LONGEST]

    def after_line(self) -> bytes:
        """The first byte after the current line that is no white space, b"" when there is none."""
        end = self._line_end()
        if end is None:
            return b""
        relative = end - self._at
        while True:
            found = _NOT_SPACE.search(self._buffer, self._at + relative)
            if found:
                return found[0]
            if not self._more():
                return b""

    def take_line(self) -> bytes | None:
        """The current line without its end; None, and nothing held, when it is longer than `LONGEST`."""
        end = self._line_end()
        if end is None:
            self._drop_line()
            return None
        data = self._buffer[self._at : end]
        self._at = min(end + 1, len(self._buffer))
        self.line_number += 1
        return data

    def take_value(self) -> bytes | None:
        """The value that starts here; None when it does not end, and then nothing is taken."""
        if self.at_end():
            return None
        end = self._find_end(0)
        if end is None:
            return None
        data = self._buffer[self._at : self._at + end]
        self.advance(end)
        return data

    def value_at(self, distance: int) -> bytes | None:
        """The value that starts so many bytes on, not taken."""
        end = self._find_end(distance)
        return None if end is None else self._buffer[self._at + distance : self._at + end]

    def rest_of_value(self) -> bytes:
        """What `take_value` looked at in vain."""
        return self._buffer[self._at : self._at + LONGEST]

    def mark_line(self) -> None:
        """Remember how the line of the next value starts, if nothing but white space stands before the value."""
        start = self._buffer.rfind(b"\n", 0, self._at) + 1
        indentation = self._buffer[start : self._at]
        self._mark = (self.offset, indentation) if start > 0 and not indentation.strip(b" \t") else None

    def line_of_marked_indentation(self) -> int | None:
        """Number of the next line that starts with an object, indented like the marked one; None when there is none."""
        found = self._find_marked()
        return None if found is None else self.line_number + self._newlines(found)

    def go_to_marked_indentation(self) -> bool:
        """Move to where `line_of_marked_indentation` is; whether there is one."""
        found = self._find_marked()
        if found is None:
            self.is_given_up = True
            return False
        self.line_number += self._newlines(found)
        self._at = found - self._base
        return True

    def _newlines(self, offset: int) -> int:
        """Lines from here to `offset`, which may lie before here."""
        at = offset - self._base
        if at >= self._at:
            return self._buffer.count(b"\n", self._at, at)
        return -self._buffer.count(b"\n", at, self._at)

    def _find_marked(self) -> int | None:
        if self._mark is None:
            return None
        offset, indentation = self._mark
        pattern = re.compile(rb"\n" + re.escape(indentation) + rb"\{")
        start = max(offset - self._base, 0)
        while True:
            found = pattern.search(self._buffer, start)
            if found:
                return self._base + found.end() - 1
            # What was searched is not needed again, so damage at the start of a large file takes no memory.
            if len(self._buffer) - self._at > LONGEST:
                self.advance(len(self._buffer) - self._at - len(indentation) - 2)
            start = max(len(self._buffer) - len(indentation) - 2, 0)
            before = self._base
            if not self._more():
                return None
            start -= self._base - before
            start = max(start, 0)

    def _find_end(self, distance: int) -> int | None:
        """Bytes from here to the end of the value that starts `distance` on."""
        first = self._buffer[self._at + distance : self._at + distance + 1]
        if first not in (b"{", b"[", b'"'):
            return self._find_scalar_end(distance)
        looked, depth = distance, 0
        while True:
            for token in _TOKEN.finditer(self._buffer, self._at + looked):
                start = token.start()
                byte = self._buffer[start]
                if byte == 0x22:
                    if token.end() - start == 1:
                        looked = start - self._at
                        break
                elif byte in (0x7B, 0x5B):
                    depth += 1
                else:
                    depth -= 1
                if depth <= 0:
                    return token.end() - self._at
            else:
                looked = len(self._buffer) - self._at
            if len(self._buffer) - self._at > LONGEST or not self._more():
                return None

    def _find_scalar_end(self, distance: int) -> int | None:
        while True:
            found = _SCALAR_END.search(self._buffer, self._at + distance + 1)
            if found:
                return found.start() - self._at
            if len(self._buffer) - self._at > LONGEST:
                return None
            if not self._more():
                return len(self._buffer) - self._at

    def _line_end(self) -> int | None:
        """Place in the buffer where the current line ends; None when that is too far."""
        looked = 0
        while True:
            end = self._buffer.find(b"\n", self._at + looked)
            if end >= 0:
                return end
            looked = len(self._buffer) - self._at
            if looked > LONGEST:
                return None
            if not self._more():
                return len(self._buffer)

    def _drop_line(self) -> None:
        while not self.at_end():
            end = self._buffer.find(b"\n", self._at)
            if end >= 0:
                self.advance(end + 1 - self._at)
                return
            self._at = len(self._buffer)

    def _more(self) -> bool:
        """Whether there was another piece; what lies before the current place is let go, but for the start of its line."""
        if self._is_over:
            return False
        piece = next(self._pieces, None)
        if piece is None:
            self._is_over = True
            return False
        keep = max(self._buffer.rfind(b"\n", 0, self._at), self._at - _HEAD, 0)
        self._buffer = self._buffer[keep:] + piece
        self._base += keep
        self._at -= keep
        return True
