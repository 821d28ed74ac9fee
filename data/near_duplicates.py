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

Progress = Callable[[int, int], None]


def near_duplicate_groups(texts: Sequence[str], progress: Progress | None = None) -> list[int]:
    """A group number for each text, counted up in order of first appearance; texts alike within `THRESHOLD` share one.

    progress: called with texts done and texts in all.
    """
    tell = progress or (lambda done, total: None)
    normal = [normalised(text) for text in texts]
    first: dict[str, int] = {}
    same_as = [first.setdefault(text, number) for number, text in enumerate(normal)]
    distinct = list(first.values())
    groups = _UnionFind(len(texts))
    for number, original in enumerate(same_as):
        groups.join(number, original)
    signatures = _signatures([normal[number] for number in distinct], lambda done: tell(done // 2, len(texts)))
    grams = _Grams([normal[number] for number in distinct])
    for done, (a, b) in _candidates(signatures, lambda a, b: groups.find(distinct[a]) == groups.find(distinct[b])):
        tell(len(texts) // 2 + done * len(texts) // (2 * _BANDS), len(texts))
        if grams.jaccard(a, b) >= THRESHOLD:
            groups.join(distinct[a], distinct[b])
    tell(len(texts), len(texts))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(groups.find(number), len(numbers)) for number in range(len(texts))]


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


def _candidates(signatures: np.ndarray, is_joined: Callable[[int, int], bool]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Pairs that share a band and whose estimate is high enough, each with the number of bands gone through; once a pair."""
    seen: set[tuple[int, int]] = set()
    width = _PERMUTATIONS // _BANDS
    for band in range(_BANDS):
        buckets: defaultdict[bytes, list[int]] = defaultdict(list)
        part = np.ascontiguousarray(signatures[:, band * width : (band + 1) * width])
        for number in range(len(part)):
            buckets[part[number].tobytes()].append(number)
        for members in buckets.values():
            if len(members) > 1:
                for pair in _close_pairs(signatures, np.array(members)):
                    if pair not in seen and not is_joined(*pair):
                        seen.add(pair)
                        yield band, pair


def _close_pairs(signatures: np.ndarray, members: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of one bucket whose estimated Jaccard is at least `_ESTIMATE_FLOOR`."""
    for place in range(len(members) - 1):
        others = members[place + 1 :]
        estimates = (signatures[others] == signatures[members[place]]).mean(axis=1)
        for other in others[estimates >= _ESTIMATE_FLOOR]:
            yield int(members[place]), int(other)


class _Grams:
    """5-gram sets of some texts, the latest kept: the pairs of one bucket share their members."""

    _KEPT = 4096

    def __init__(self, texts: Sequence[str]):
        self._texts = texts
        self._sets: dict[int, frozenset[str]] = {}

    def jaccard(self, a: int, b: int) -> float:
        return _jaccard(self._of(a), self._of(b))

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
