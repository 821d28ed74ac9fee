"""Leak-free splits: near duplicates stay together, and every part gets its share of each kind of record.

A random split of a real set put half of its test records into training as near duplicates (docs/log.md). The assignment is a
function of contents, ratios and seed alone: no random generator, the same on every machine. Reading and writing of records
is not done here.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from data.conversation import Conversation
from data.errors import DataError
from data.near_duplicates import THRESHOLD, Progress, grams_of, near_duplicate_groups, normalised
from data.reading import Record

_LENGTH_BUCKETS = (100, 300, 1000, 3000)
"""Characters of question and answer that part short from long records."""


class Split(Struct, frozen=True):
    """assignment: the part of each record.  groups: near-duplicate group of each record.  counts: records in each part."""

    assignment: list[str]
    groups: list[int]
    counts: dict[str, int]
    ratios: dict[str, float]
    seed: int

    def indices(self, part: str) -> list[int]:
        """Places of the records of one part, in order."""
        return [index for index, name in enumerate(self.assignment) if name == part]

    def to_json(self) -> str:
        """The split for people and programs: how it was made, and the record numbers of each part."""
        made = {"seed": self.seed, "ratios": self.ratios, "near_duplicate_threshold": THRESHOLD, "records": self.counts}
        groups = len(set(self.groups))
        return json.dumps(made | {"groups": groups, "parts": {part: self.indices(part) for part in self.ratios}}, ensure_ascii=False)

    def write(self, path: Path) -> None:
        """Write `to_json` to `path`. Raises OSError."""
        path.write_text(self.to_json() + "\n", encoding="utf-8")


def split(
    records: Sequence[Record], ratios: Mapping[str, float], seed: int, groups: Sequence[int] | None = None, progress: Progress | None = None
) -> Split:
    """Whole near-duplicate groups assigned to parts in proportion, within each kind of record.

    groups: as `near_duplicate_groups` gives them, computed here when absent. Raises DataError for ratios that are no shares.
    """
    _check_ratios(ratios)
    texts = [record.conversation.text() for record in records]
    groups = list(groups) if groups is not None else near_duplicate_groups(texts, progress)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    # The member of the smallest hash speaks for its group, so that the order of the file decides nothing.
    leads = {group: min((_hash(seed, texts[index]), index) for index in indices) for group, indices in members.items()}
    # Kind by kind, in hash order within a kind: taking shares along this order is proportional in each kind and in all.
    order = sorted(members, key=lambda group: (_kind(records[leads[group][1]].conversation), leads[group][0]))
    parts = _assign([len(members[group]) for group in order], ratios)
    part_of = dict(zip(order, parts, strict=True))
    assignment = [part_of[group] for group in groups]
    counted = Counter(assignment)
    return Split(assignment, groups, {part: counted[part] for part in ratios}, dict(ratios), seed)


def crossing_pairs(split: Split, texts: Sequence[str]) -> list[tuple[int, int]]:
    """Every pair of near duplicates whose records are in different parts, by comparing all with all: the proof, for tests."""
    grams = [grams_of(normalised(text)) for text in texts]
    found = []
    for a in range(len(texts)):
        for b in range(a + 1, len(texts)):
            small, large = sorted((len(grams[a]), len(grams[b])))
            if split.assignment[a] == split.assignment[b] or small < THRESHOLD * large:
                continue
            common = len(grams[a] & grams[b])
            if common >= THRESHOLD * (small + large - common):
                found.append((a, b))
    return found


def _check_ratios(ratios: Mapping[str, float]) -> None:
    if not ratios or any(not 0 <= share <= 1 for share in ratios.values()) or abs(sum(ratios.values()) - 1) > 1e-6:
        shown = ", ".join(f"{part} {share:g}" for part, share in ratios.items())
        raise DataError(f"split ratios ({shown}) must each lie between 0 and 1 and add up to 1, for example 0.9,0.05,0.05")


def _assign(sizes: Sequence[int], ratios: Mapping[str, float]) -> list[str]:
    """The part of each group, in order: always the one that lacks most of its share. No wanted part stays empty if groups suffice."""
    wanted = {part: share for part, share in ratios.items() if share > 0}
    given = dict.fromkeys(wanted, 0)
    total, chosen = 0, []
    for size in sizes:
        total += size
        part = max(wanted, key=lambda name: wanted[name] * total - given[name])
        given[part] += size
        chosen.append(part)
    for part in wanted:
        donor = max(wanted, key=chosen.count)
        if part not in chosen and chosen.count(donor) > 1:
            smallest = min((i for i, name in enumerate(chosen) if name == donor), key=lambda i: (sizes[i], i))
            chosen[smallest] = part
    return chosen


def _kind(conversation: Conversation) -> tuple[str, str, bool, int]:
    length = len(conversation.text())
    bucket = sum(length >= limit for limit in _LENGTH_BUCKETS)
    return conversation.difficulty, conversation.category, conversation.has_thinking, bucket


def _hash(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
