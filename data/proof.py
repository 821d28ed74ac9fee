"""The proof that a split leaks nothing: every pair of near duplicates in different parts, found without MinHash.

Exact by prefix filtering (Chaudhuri, Ganti, Kaushik, "A Primitive Operator for Similarity Joins", 2006): of n grams in an order
common to all texts, texts alike within t share one of the first n - ceil(t n) + 1. Rare grams come first, by counts in a table of
fixed size, so that few texts meet; which order it is decides only how many are compared. Groups are `data.near_duplicates`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import structs

from data.near_duplicates import THRESHOLD, UnionFind, gram_hashes, grams_of, normalised
from data.record import Record, RecordTexts
from data.splitting import Split, split

_BITS = 24
_CHUNK = 4096


def split_with_proof(
    records: Sequence[Record],
    ratios: Mapping[str, float],
    seed: int,
    groups: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
    keep: Mapping[int, str] | None = None,
) -> Split:
    """The split with its proof: pairs in different parts that are exact, or near, duplicates; none.

    A pair that MinHash had missed (about one in 6,000 at the threshold) is joined, and the split made again.
    """
    made = split(records, ratios, seed, groups, keep=keep)
    texts = RecordTexts(records)
    while pairs := crossing_pairs(made.assignment, texts, progress):
        groups = [*made.groups]
        sets = UnionFind(len(groups))
        for a, b in pairs:
            sets.join(groups[a], groups[b])
        made = split(records, ratios, seed, [sets.find(group) for group in groups], keep=keep)
    return structs.replace(made, proof={"exact": 0, "near": 0})


def prove(made: Split, records: Sequence[Record], progress: Callable[[int, int], None] | None = None) -> dict[str, int]:
    """Pairs of a split's records in different parts that are exact, or near, duplicates."""
    pairs = crossing_pairs(made.assignment, RecordTexts(records), progress)
    exact = sum(made.digests[a] == made.digests[b] for a, b in pairs)
    return {"exact": exact, "near": len(pairs) - exact}


def crossing_pairs(parts: Sequence[str], texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> list[tuple[int, int]]:
    """Pairs of texts that are near duplicates (exact ones among them) in different parts, upwards. texts: gone through twice."""
    tell = progress or (lambda done, total: None)
    counts = np.zeros(1 << _BITS, dtype=np.uint32)
    for start, hashes in _hashed(texts):
        for one in hashes:
            counts[_slot(one)] += 1
        tell((start + len(hashes)) // 2, len(texts))
    grams, owners, sizes = _rare(texts, counts, tell)
    names = {part: number for number, part in enumerate(dict.fromkeys(parts))}
    numbers = np.array([names[part] for part in parts], dtype=np.int32)
    found = sorted({pair for pair in _meeting(grams, owners, sizes, numbers) if _is_alike(texts, *pair)})
    tell(len(texts), len(texts))
    return found


def _hashed(texts: Sequence[str]) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Distinct gram hashes of each text, some thousand texts at a time."""
    for start in range(0, len(texts), _CHUNK):
        hashes, offsets = gram_hashes([normalised(text) for text in texts[start : start + _CHUNK]])
        yield start, [np.unique(one) for one in np.split(hashes, offsets[1:-1])]


def _slot(hashes: np.ndarray) -> np.ndarray:
    return hashes >> np.uint64(64 - _BITS)


def _rare(texts: Sequence[str], counts: np.ndarray, tell: Callable[[int, int], None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rarest grams of each text that occur in another, the texts they are of, and how many grams every text has."""
    grams: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    sizes = np.zeros(len(texts), dtype=np.int64)
    for start, hashes in _hashed(texts):
        for number, one in enumerate(hashes, start):
            sizes[number] = len(one)
            frequency = counts[_slot(one)]
            # Without the small number, 0.7 times 90 would be more than 63.
            kept = len(one) - math.ceil(THRESHOLD * len(one) - 1e-9) + 1
            first = np.lexsort((one, frequency))[:kept]
            shared = one[first][frequency[first] > 1]
            grams.append(shared)
            owners.append(np.full(len(shared), number, dtype=np.int32))
        tell((len(texts) + start + len(hashes)) // 2, len(texts))
    return np.concatenate(grams or [np.zeros(0, np.uint64)]), np.concatenate(owners or [np.zeros(0, np.int32)]), sizes


def _meeting(grams: np.ndarray, owners: np.ndarray, sizes: np.ndarray, parts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of different parts that share a rare gram and are not too different in size."""
    order = np.argsort(grams, kind="stable")
    grams, owners = grams[order], owners[order]
    seen: set[tuple[int, int]] = set()
    for members in np.split(owners, np.flatnonzero(np.diff(grams)) + 1):
        if len(members) < 2 or (parts[members] == parts[members[0]]).all():
            continue
        for number in members[parts[members] != np.bincount(parts[members]).argmax()]:
            others = members[parts[members] != parts[number]]
            close = np.minimum(sizes[others], sizes[number]) >= THRESHOLD * np.maximum(sizes[others], sizes[number])
            for other in others[close]:
                pair = (int(min(number, other)), int(max(number, other)))
                if pair not in seen:
                    seen.add(pair)
                    yield pair


def _is_alike(texts: Sequence[str], a: int, b: int) -> bool:
    one, other = grams_of(normalised(texts[a])), grams_of(normalised(texts[b]))
    common = len(one & other)
    return common >= THRESHOLD * (len(one) + len(other) - common)
