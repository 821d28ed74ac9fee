"""Groups of near-duplicate texts: character 5-gram MinHash finds candidates, exact Jaccard confirms, union-find joins.

White space and case don't count. MinHash is rensa's; the banding follows Leskovec, Rajaraman, Ullman, "Mining of Massive
Datasets", section 3.4. What groups are good for is `data.splitting`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

THRESHOLD = 0.7
"""Jaccard of the 5-gram sets from which two texts count as near duplicates."""
GRAM = 5
_PERMUTATIONS, _BANDS = 128, 32
"""32 bands of 4 rows miss a pair at the threshold once in 6,000 times, and less often above it."""
_ESTIMATE_FLOOR = THRESHOLD - 0.15
"""Candidates under this MinHash estimate (standard error 0.04) are not worth an exact comparison."""
_CHUNK = 2048
_LARGE = 64
"""Members of a bucket from which comparing all with all is too much."""

Progress = Callable[[int, int], None]


def near_duplicate_groups(texts: Sequence[str], progress: Progress | None = None) -> list[int]:
    """A group number for each text, counted up in order of first appearance; texts alike within `THRESHOLD` share one.

    progress: called with texts done and texts in all.
    """
    tell = progress or (lambda done, total: None)
    first: dict[str, int] = {}
    place = [first.setdefault(normalised(text), len(first)) for text in texts]
    distinct = list(first)
    groups, comparison = _UnionFind(len(distinct)), _Comparison(distinct)
    signatures = _signatures(distinct, lambda done: tell(done // 2, len(texts)))
    for band in range(_BANDS):
        for members in _buckets(signatures, band):
            _join_alike(members, signatures, comparison, groups)
        tell((len(texts) + len(texts) * band // _BANDS) // 2, len(texts))
    tell(len(texts), len(texts))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(groups.find(number), len(numbers)) for number in place]


def normalised(text: str) -> str:
    """The text as near duplicates are compared: lower case, no white space."""
    return re.sub(r"\s+", "", text).lower()


def jaccard(a: str, b: str) -> float:
    """Exact Jaccard of two normalised texts' 5-gram sets; two empty texts are alike."""
    return _jaccard(grams_of(a), grams_of(b))


def grams_of(text: str) -> frozenset[str]:
    """All runs of `GRAM` characters; a shorter text is its own only run."""
    return frozenset(text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1)))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def _signatures(texts: Sequence[str], tell: Callable[[int], None]) -> np.ndarray:
    """(N, _PERMUTATIONS) uint32 MinHash signatures."""
    rows = []
    for start in range(0, len(texts), _CHUNK):
        hashes = [_gram_hashes(text) for text in texts[start : start + _CHUNK]]
        offsets = np.cumsum([0, *map(len, hashes)]).tolist()
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(np.concatenate(hashes), offsets, _PERMUTATIONS, 42)
        rows.append(np.array(matrix.to_rows(), dtype=np.uint32))
        tell(start + len(hashes))
    return np.concatenate(rows) if rows else np.zeros((0, _PERMUTATIONS), dtype=np.uint32)


def _gram_hashes(text: str) -> np.ndarray:
    """A 64-bit hash of every run of `GRAM` code points, repetitions included."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if len(codes) < GRAM:
        codes = np.pad(codes, (0, GRAM - len(codes)))
    count = len(codes) - GRAM + 1
    hashed = np.zeros(count, dtype=np.uint64)
    for offset in range(GRAM):
        # Multiplier of splitmix64; unsigned products wrap, which is meant.
        hashed = (hashed ^ codes[offset : offset + count]) * np.uint64(0xBF58476D1CE4E5B9)
        hashed ^= hashed >> np.uint64(27)
    return hashed


def _buckets(signatures: np.ndarray, band: int) -> Iterator[list[int]]:
    """Numbers of the texts whose signatures are equal in one band, where there are several."""
    width = _PERMUTATIONS // _BANDS
    part = np.ascontiguousarray(signatures[:, band * width : (band + 1) * width])
    buckets: defaultdict[bytes, list[int]] = defaultdict(list)
    for number, row in enumerate(part):
        buckets[row.tobytes()].append(number)
    return (members for members in buckets.values() if len(members) > 1)


def _join_alike(members: list[int], signatures: np.ndarray, comparison: "_Comparison", groups: "_UnionFind") -> None:
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


def _join_sharing(members: list[int], comparison: "_Comparison", groups: "_UnionFind") -> None:
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
        estimates = (signatures[others] == signatures[members[place]]).mean(axis=1)
        for other in others[estimates >= _ESTIMATE_FLOOR]:
            yield int(members[place]), int(other)


class _Comparison:
    """Exact comparison of numbered texts. Keeps the latest 5-gram sets, because pairs come in bunches, and what was unlike."""

    _KEPT = 4096

    def __init__(self, texts: Sequence[str]):
        self._texts = texts
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
        hashes = [np.unique(_gram_hashes(self._texts[number])) for number in members]
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
            if len(self._sets) >= self._KEPT:
                self._sets.pop(next(iter(self._sets)))
            self._sets[number] = grams_of(self._texts[number])
        return self._sets[number]


class _UnionFind:
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
