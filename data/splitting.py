"""Leak-free splits: what is alike or belongs together stays together, and every part gets its share of each kind of record.

A random split of a real set put half of its test records into training as near duplicates (docs/log.md). The assignment is a
function of contents, ratios and seed alone: no random generator, the same on every machine. Records that are added later move few
of the others, and none when the earlier split is given. Its proof is `data.proof`; reading and writing of records is not done here.
"""

import hashlib
import json
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from data.balance import KINDS, Share, kinds_of, shares
from data.errors import DataError
from data.facts import Facts, facts_of
from data.near_duplicates import THRESHOLD, Progress, UnionFind, near_duplicate_groups
from data.quota import Quota
from data.record import Record, RecordTexts

ALGORITHM = 3
"""Goes up when the same records would go to other parts."""

LARGE_SOURCE, LARGE_SHARE = 200, 0.25
"""A source of more records and a larger share than these names the set a record is from, not what belongs together."""


class Split(Struct, frozen=True):
    """assignment: the part of each record.  groups: number of the group each record stays with.  counts: records in each part.
    digests: of each record's text, by which a later split knows it again.  balance: wanted against got, kind by kind.
    proof: pairs of exact and of near duplicates in different parts, by `data.proof`; None where nobody looked."""

    assignment: list[str]
    groups: list[int]
    counts: dict[str, int]
    ratios: dict[str, float]
    seed: int
    digests: Sequence[int] = ()
    balance: list[Share] = []
    proof: dict[str, int] | None = None

    def indices(self, part: str) -> list[int]:
        """Places of the records of one part, in order."""
        return [index for index, name in enumerate(self.assignment) if name == part]

    def to_json(self) -> str:
        """The split for people and programs: how it was made, the proof, and record numbers and hashes of each part."""
        parts = {part: self.indices(part) for part in self.ratios}
        hashes = {part: [f"{self.digests[index]:016x}" for index in indices] for part, indices in parts.items()} if self.digests else {}
        whole = {part: hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest() for part, texts in hashes.items()}
        made = {"algorithm": ALGORITHM, "seed": self.seed, "ratios": self.ratios, "near_duplicate_threshold": THRESHOLD}
        told = {"records": self.counts, "groups": len(set(self.groups)), "crossing_pairs": self.proof, "sha256": whole}
        balance = [{"kind": one.kind, "value": one.value, "part": one.part, "wanted": one.wanted, "got": one.got} for one in self.balance]
        return json.dumps(made | told | {"balance": balance, "parts": parts, "hashes": hashes}, ensure_ascii=False)

    def write(self, path: Path) -> None:
        """Write `to_json` to `path`. Raises OSError."""
        path.write_text(self.to_json() + "\n", encoding="utf-8")


def split(
    records: Sequence[Record],
    ratios: Mapping[str, float],
    seed: int,
    groups: Sequence[int] | None = None,
    progress: Progress | None = None,
    keep: Mapping[int, str] | None = None,
) -> Split:
    """Whole groups assigned to parts in proportion, within each kind of record.

    groups: of near duplicates, as `near_duplicate_groups` gives them, computed here when absent; what belongs to one conversation or
    source is joined to them.  keep: digest → part of an earlier split (`read_split`): such records stay where they were, but a group
    of which an earlier split had members in several parts goes whole to the largest part.
    Raises DataError for ratios that are no shares.
    """
    check_ratios(ratios)
    facts = facts_of(records)
    groups = joined(groups if groups is not None else near_duplicate_groups(RecordTexts(records), progress), facts)
    members: defaultdict[int, array[int]] = defaultdict(lambda: array("I"))
    for index, group in enumerate(groups):
        members[group].append(index)
    part_of = _assign(members, facts, ratios, seed, _kept_parts(members, facts, keep or {}, ratios))
    assignment = [part_of[group] for group in groups]
    counted = Counter(assignment)
    counts = {part: counted[part] for part in ratios}
    return Split(assignment, groups, counts, dict(ratios), seed, facts.digests, shares(facts, assignment, ratios))


def read_split(path: Path) -> dict[int, str]:
    """Digest → part of a split.json. Raises DataError for a file that is none."""
    try:
        hashes = json.loads(path.read_text(encoding="utf-8"))["hashes"]
        return {int(digest, 16): part for part, digests in hashes.items() for digest in digests}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); name the split.json of an earlier split") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path}: is no split.json with hashes; name the one of an earlier `danlu split`") from None


def joined(groups: Sequence[int], facts: Facts) -> list[int]:
    """Groups with those of one source and of one conversation (one whole record opens another) joined, counted up from 0."""
    sets = UnionFind(len(groups))
    keys: dict[tuple[str, int], int] = {}
    large = max(LARGE_SOURCE, LARGE_SHARE * len(groups))
    sources = Counter(facts.sources)
    for index, group in enumerate(groups):
        names = [("group", group), ("text", facts.digests[index])]
        if facts.sources[index] and sources[facts.sources[index]] <= large:
            names.append(("source", facts.sources[index]))
        for name in names:
            sets.join(keys.setdefault(name, index), index)
    for index, openings in facts.openings.items():
        for opening in openings:
            if (other := keys.get(("text", opening))) is not None:
                sets.join(other, index)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(sets.find(index), len(numbers)) for index in range(len(groups))]


def check_ratios(ratios: Mapping[str, float]) -> None:
    """Raise DataError for ratios that are no shares of a whole."""
    if not ratios or any(not 0 <= share <= 1 for share in ratios.values()) or abs(sum(ratios.values()) - 1) > 1e-6:
        shown = ", ".join(f"{part} {share:g}" for part, share in ratios.items())
        raise DataError(f"split ratios ({shown}) must each lie between 0 and 1 and add up to 1, for example 0.9,0.05,0.05")


def _kept_parts(
    members: Mapping[int, Sequence[int]], facts: Facts, keep: Mapping[int, str], ratios: Mapping[str, float]
) -> dict[int, str]:
    """The part of each group that an earlier split knows."""
    if not keep:
        return {}
    largest = max(ratios, key=lambda part: ratios[part])
    found: dict[int, str] = {}
    for group, indices in members.items():
        parts = {keep[facts.digests[index]] for index in indices if facts.digests[index] in keep} & ratios.keys()
        if parts:
            found[group] = next(iter(parts)) if len(parts) == 1 else largest
    return found


def _assign(
    members: Mapping[int, Sequence[int]], facts: Facts, ratios: Mapping[str, float], seed: int, kept: Mapping[int, str]
) -> dict[int, str]:
    """Group → part. The small parts choose one after another, each in an order of its own; the largest takes the rest."""
    # The member of the smallest hash speaks for its group, so that the order of the file decides nothing.
    leads = {group: min(indices, key=lambda index: (_rank(seed, "", facts.digests[index]), index)) for group, indices in members.items()}
    kinds = kinds_of(facts)
    part_of = dict(kept)
    wanted = sorted((part for part in ratios if ratios[part] > 0), key=lambda part: (ratios[part], part))
    for part in wanted[:-1]:
        quota = Quota(ratios[part], kinds)
        for group, held in kept.items():
            if held == part:
                quota.take(kinds[leads[group]], len(members[group]))
        free = [group for group in members if group not in part_of]
        ranks = {group: _rank(seed, part, facts.digests[leads[group]]) for group in free}
        free.sort(key=lambda group: (ranks[group], leads[group]))
        candidates = [(group, kinds[leads[group]], len(members[group])) for group in free]
        chosen = quota.choose(candidates)
        if not chosen and part not in part_of.values() and len(free) > 1:
            chosen = [min(free, key=lambda group: (len(members[group]), ranks[group]))]
        part_of.update(dict.fromkeys(chosen, part))
    return {group: part_of.get(group, wanted[-1]) for group in members}


def _rank(seed: int, part: str, digest: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{part}\0{digest}".encode(), digest_size=16).digest()


__all__ = ["KINDS", "Share", "Split", "joined", "read_split", "split"]
