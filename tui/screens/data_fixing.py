"""Repairs of many records at once: what there is to repair, which kinds are wanted, and the changes that makes. Nothing is made here.

One record's are `data_editing`, what a repair does is `data.fixes`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from textual.app import App

from data import fixes
from tui import gate
from tui.faults import code_name
from tui.screens.data_editing import Editing, Proposed, passing
from tui.screens.data_loading import Stage
from tui.texts import tr
from tui.widgets.choices import Choice, Choices


class Fixable(NamedTuple):
    """What could be repaired in many rows.  rows: by kind of repair, a code of `fixes.FIXES`.  examples: of each, before → after."""

    editing: Editing
    rows: dict[str, list[int]]
    examples: dict[str, str]


def look(editing: Editing, rows: Sequence[int], tell: Callable[[Stage | Fixable], None]) -> None:
    """Tell what could be repaired in `rows`. For a thread."""
    found: dict[str, list[int]] = defaultdict(list)
    examples: dict[str, str] = {}
    for row in passing(rows, "fix", tell):
        if not isinstance(raw := editing.raw(row), dict):
            continue
        for offer in fixes.offers(raw):
            examples.setdefault(offer.code, fixes.difference(offer.before, offer.after))
            if found[offer.code][-1:] != [row]:
                found[offer.code].append(row)
        for code in fixes.scripts(raw):
            found[code].append(row)
    tell(Fixable(editing, dict(found), examples))


async def ask(app: App, fixable: Fixable) -> Collection[str]:
    """Which kinds are wanted, none of them where the question is left."""
    codes = [code for code in fixes.FIXES if code in fixable.rows]
    repairs = [code for code in codes if code not in fixes.ON_REQUEST]
    choices = [Choice((code,), _name(code, fixable.rows[code]), gate.safe(fixable.examples.get(code, ""))) for code in codes]
    if len(repairs) > 1:
        together = set().union(*(fixable.rows[code] for code in repairs))
        choices.insert(0, Choice(tuple(repairs), f"{tr('data.fix_all')} · {len(together):,}"))
    taken = await app.push_screen_wait(Choices(tr("data.fix_shown_title"), choices, whole=True))
    return taken if isinstance(taken, tuple) else ()


def propose(fixable: Fixable, codes: Collection[str], tell: Callable[[Stage | Proposed], None]) -> None:
    """Work the wanted repairs out. For a thread. Raises DataError for a script that needs OpenCC."""
    rows = sorted(set().union(*(fixable.rows[code] for code in codes)))
    changes = []
    for row in passing(rows, "fix", tell):
        raw = fixable.editing.raw(row)
        assert isinstance(raw, dict), row
        if offers := fixes.offers(raw, [code for code in fixes.FIXES if code in codes]):
            changes.append(fixable.editing.change(row, fixes.applied(raw, offers)))
    tell(Proposed(fixable.editing, tuple(changes)))


def _name(code: str, rows: Sequence[int]) -> str:
    return f"{code_name(code)} · {len(rows):,}"
