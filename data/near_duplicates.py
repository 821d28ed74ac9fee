"""Groups of near-duplicate texts: character 5-gram MinHash finds candidates, exact Jaccard confirms, union-find joins.

White space and case don't count. MinHash is rensa's; the banding follows Leskovec, Rajaraman, Ullman, "Mining of Massive
Datasets", section 3.4. What groups are good for is `data.splitting`.
"""

import hashlib
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

from data.cache import data_cache
from data.chinese import without_space
from data.errors import DataError

THRESHOLD = 0.7
"""Jaccard of the 5-gram sets from which two texts count as near duplicates."""
GRAM = 5
_PERMUTATIONS, _BANDS = 128, 32
"""32 bands of 4 rows miss a pair at the threshold once in 6,000 times, and less often above it."""
_ESTIMATE_FLOOR = THRESHOLD - 0.15
"""Candidates under this MinHash estimate (standard error 0.04) are not worth an exact comparison."""
_CHUNK = 1 << 16
"""Characters whose hashes are made together: many texts, in arrays that stay in the processor's cache."""
_TELL_EVERY = 64
_LARGE = 64
"""Members of a bucket from which comparing all with all is too much."""

Progress = Callable[[int, int], None]


def near_duplicate_groups(texts: Sequence[str], progress: Progress | None = None) -> list[int]:
    """A group number for each text, counted up in order of first appearance; texts alike within `THRESHOLD` share one.

    texts: gone through once and then asked for single texts, so it may read them from disk.
    progress: called with texts done and texts in all.
    """
    tell = progress or (lambda done, total: None)
    signatures = Signatures()
    for number, text in enumerate(texts):
        signatures.add(text)
        if number % _TELL_EVERY == 0:
            tell(number // 2, len(texts))
    return signatures.groups(texts, lambda done, total: tell((total + done) // 2, total))


class Signatures:
    """MinHash signatures of texts that come one after another: what makes groups of them without looking at all of them again.

    They are kept in a nameless file, 512 bytes a distinct text. Raises DataError where that cannot be written.
    """

    def __init__(self) -> None:
        self._place, self._distinct = array("I"), array("I")
        self._first: dict[bytes, int] = {}
        self._file = tempfile.TemporaryFile(dir=data_cache())  # noqa: SIM115 - lives as long as we do
        self._waiting: list[str] = []
        self._characters = 0

    def add(self, text: str) -> None:
        """The next text."""
        shortened = normalised(text)
        key = hashlib.blake2b(shortened.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key not in self._first:
            self._first[key] = len(self._distinct)
            self._distinct.append(len(self._place))
            self._waiting.append(shortened)
            self._characters += len(shortened)
        self._place.append(self._first[key])
        if self._characters >= _CHUNK:
            self._digest()

    def groups(self, texts: Sequence[str], tell: Progress) -> list[int]:
        """`near_duplicate_groups` of the texts that came. texts: the same again, asked for single ones. tell: texts done and in all."""
        self._digest()
        signatures = self._matrix()
        groups, comparison = UnionFind(len(signatures)), _Comparison(_Distinct(texts, self._distinct))
        for band in range(_BANDS):
            for members in _buckets(signatures, band):
                _join_alike(members, signatures, comparison, groups)
            tell(len(texts) * (band + 1) // _BANDS, len(texts))
        numbers: dict[int, int] = {}
        return [numbers.setdefault(groups.find(number), len(numbers)) for number in self._place]

    def _digest(self) -> None:
        """Signatures of the texts that wait for theirs."""
        if self._waiting:
            hashes, offsets = gram_hashes(self._waiting)
            matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets.tolist(), _PERMUTATIONS, 42)
            self._write(np.array(matrix.to_rows(), dtype=np.uint32))
            self._waiting, self._characters = [], 0

    def _matrix(self) -> np.ndarray:
        """(N, 128) of the distinct texts, mapped from the file."""
        shape = (len(self._distinct), _PERMUTATIONS)
        return np.asarray(np.memmap(self._file, np.uint32, "r", shape=shape)) if self._distinct else np.empty(shape, np.uint32)

    def _write(self, signatures: np.ndarray) -> None:
        try:
            self._file.write(signatures.data)
            self._file.flush()
        except OSError as error:
            place = data_cache()
            raise DataError(f"{place}: is full or broken ({error.strerror}); free space there or set XDG_CACHE_HOME") from error


def normalised(text: str) -> str:
    """The text as near duplicates are compared: lower case, no white space."""
    return without_space(text).lower()


def jaccard(a: str, b: str) -> float:
    """Exact Jaccard of two normalised texts' 5-gram sets; two empty texts are alike."""
    return _jaccard(grams_of(a), grams_of(b))


def grams_of(text: str) -> frozenset[str]:
    """All runs of `GRAM` characters; a shorter text is its own only run."""
    return frozenset(text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1)))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)


class _Distinct:
    """The normalised text of each distinct number, from the text it was first seen in."""

    def __init__(self, texts: Sequence[str], places: Sequence[int]):
        self._texts, self._places = texts, places

    def __getitem__(self, number: int) -> str:
        return normalised(self._texts[self._places[number]])


def gram_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A 64-bit hash of every run of `GRAM` code points of one text after another, repetitions included, and where those of each text
    begin, with the end of the last: (N + 1,). A shorter text is one run, filled with zeros."""
    filled = [text.ljust(GRAM, "\0") for text in texts]
    codes = np.frombuffer("".join(filled).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    ends = np.cumsum([len(text) for text in filled])
    hashed = np.zeros(len(codes) - GRAM + 1, dtype=np.uint64)
    for offset in range(GRAM):
        # Multiplier of splitmix64; unsigned products wrap, which is meant.
        hashed = (hashed ^ codes[offset : offset + len(hashed)]) * np.uint64(0xBF58476D1CE4E5B9)
        hashed ^= hashed >> np.uint64(27)
    is_whole = np.ones(len(hashed), dtype=bool)
    for offset in range(1, GRAM):
        is_whole[ends[:-1] - offset] = False  # a run that reaches into the next text
    return hashed[is_whole], np.concatenate([[0], ends - (GRAM - 1) * np.arange(1, len(filled) + 1)])


def _buckets(signatures: np.ndarray, band: int) -> Iterator[list[int]]:
    """Numbers of the texts whose signatures are equal in one band, where there are several."""
    width = _PERMUTATIONS // _BANDS
    part = np.ascontiguousarray(signatures[:, band * width : (band + 1) * width]).astype(np.uint64)
    # Four 32-bit values hashed to one of 64 bits; a collision only brings one more pair to compare.
    keys = np.zeros(len(part), dtype=np.uint64)
    for column in range(width):
        keys = (keys ^ part[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order])) + 1
    bounds = np.concatenate([[0], starts, [len(order)]])
    for place in np.flatnonzero(np.diff(bounds) > 1):
        yield order[bounds[place] : bounds[place + 1]].tolist()


def _join_alike(members: list[int], signatures: np.ndarray, comparison: "_Comparison", groups: "UnionFind") -> None:
    """Join the members of one bucket that are near duplicates of each other."""
    if len({groups.find(number) for number in members}) == 1:
        return
    if len(members) > _LARGE:
        for sharing in comparison.sharing_rare_grams(members):
            _join_sharing(sharing, comparison, groups)
        return
    for a, b in _close_pairs(signatures, np.array(members)):
        if groups.find(a) != groups.find(b) and comparison.is_alike(a, b):
            groups.join(a, b)


def _join_sharing(members: list[int], comparison: "_Comparison", groups: "UnionFind") -> None:
    """As `_join_alike`, but a text is compared with a whole group only until it belongs to it: thousands of copies cost thousands."""
    seen: dict[int, list[int]] = {}
    for number in members:
        for others in seen.values():
            if groups.find(others[0]) != groups.find(number):
                alike = next((other for other in others if comparison.is_alike(other, number)), None)
                if alike is not None:
                    groups.join(alike, number)
        seen.setdefault(groups.find(number), []).append(number)


def _close_pairs(signatures: np.ndarray, members: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of one bucket whose estimated Jaccard is at least `_ESTIMATE_FLOOR`."""
    for place in range(len(members) - 1):
        others = members[place + 1 :]
        equal = np.count_nonzero(signatures[others] == signatures[members[place]], axis=1)
        for other in others[equal >= _ESTIMATE_FLOOR * _PERMUTATIONS]:
            yield int(members[place]), int(other)


class _Comparison:
    """Exact comparison of numbered texts. Keeps the latest 5-gram sets, because pairs come in bunches, and what was unlike."""

    _KEPT = 1_000_000
    """Grams in the sets that are kept, of about 100 bytes each."""

    def __init__(self, texts: _Distinct):
        self._texts, self._size = texts, 0
        self._sets: dict[int, frozenset[str]] = {}
        self._unlike: set[tuple[int, int]] = set()

    def is_alike(self, a: int, b: int) -> bool:
        """Whether two texts are near duplicates; asked again about a pair that is not, the answer is free."""
        pair = (a, b) if a < b else (b, a)
        if pair in self._unlike:
            return False
        if _jaccard(self._of(a), self._of(b)) >= THRESHOLD:
            return True
        self._unlike.add(pair)
        return False

    def sharing_rare_grams(self, members: Sequence[int]) -> Iterator[list[int]]:
        """The members that share one of their rarest grams, gram by gram. Near duplicates always share one.

        Prefix filtering (Chaudhuri, Ganti, Kaushik, "A Primitive Operator for Similarity Joins", 2006): with n grams in an order
        common to all, texts alike within t share one of the first n - ceil(t n) + 1. So a sentence that starts thousands of
        records, which is in none of their rarest grams, makes no pair.
        """
        hashes = [np.unique(gram_hashes([self._texts[number]])[0]) for number in members]
        sizes = np.array([len(grams) for grams in hashes])
        _, grams, counts = np.unique(np.concatenate(hashes), return_inverse=True, return_counts=True)
        owners = np.repeat(np.arange(len(members)), sizes)
        order = np.lexsort((grams, counts[grams], owners))
        rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        # Without the small number, 0.7 times 90 would be more than 63.
        rarest = sizes - np.ceil(THRESHOLD * sizes - 1e-9).astype(int) + 1
        kept = order[(rank < np.repeat(rarest, sizes)) & (counts[grams[order]] > 1)]
        kept = kept[np.argsort(grams[kept], kind="stable")]
        for sharing in np.split(owners[kept], np.flatnonzero(np.diff(grams[kept])) + 1):
            if len(sharing) > 1:
                yield [members[owner] for owner in sharing.tolist()]

    def _of(self, number: int) -> frozenset[str]:
        if number not in self._sets:
            grams = grams_of(self._texts[number])
            self._size += len(grams)
            while self._sets and self._size > self._KEPT:
                self._size -= len(self._sets.pop(next(iter(self._sets))))
            self._sets[number] = grams
        return self._sets[number]


class UnionFind:
    """Disjoint sets of numbers; the smallest member stands for its set."""

    def __init__(self, count: int):
        self._parent = list(range(count))

    def find(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def join(self, a: int, b: int) -> None:
        low, high = sorted((self.find(a), self.find(b)))
        self._parent[high] = low
