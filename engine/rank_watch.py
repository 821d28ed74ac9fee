"""Which rank hangs or is gone, found from the signs of life alone. Kills nobody.

A rank that waits tells how long it worked before; one that others wait for may take several times that. So the patience follows
the size of the run by itself, and a slow model is not a hanging one. When all seem to wait for each other, one of them is halted or stuck.
"""

from collections.abc import Sequence

import psutil

from engine.pulse import Beat

PATIENCE_S = 30.0
"""The least the others wait."""
TIMES_AS_LONG = 4
"""A rank may work so many times as long as one that already waits for it."""
TAKES_ITS_TIME = ("save", "fetch", "pause")
"""What only the first rank does while the others wait: a slow disk or network is no hanging rank."""


def find_silent(beats: Sequence[Beat], ranks: Sequence[int], now: float, patience_s: float = PATIENCE_S) -> str | None:
    """A sentence about the rank that the others have waited for too long, or None.

    ranks: those that were started on this machine.  now: CLOCK_MONOTONIC.
    """
    allowed = [max(patience_s, TIMES_AS_LONG * beat.busy_s) for beat in beats if beat.waiting and now - beat.beat > patience_s]
    if not allowed:
        return None
    waited = max(now - beat.beat for beat in beats if beat.waiting)
    limit = min(allowed)
    if waited <= limit:
        return None
    begun = {beat.rank for beat in beats}
    if missing := [rank for rank in ranks if rank not in begun]:
        return f"rank {missing[0]} has not started while the others have waited for it for {waited:.0f} s"
    for beat in beats:
        if not beat.waiting and now - beat.beat > limit and beat.stage not in TAKES_ITS_TIME:
            return (
                f"rank {beat.rank} (process {beat.pid}, {_state(beat.pid)}) has not moved for {now - beat.beat:.0f} s in stage "
                f"{beat.stage} after step {beat.step}, while the others wait for it"
            )
    return _stuck_in_waiting(beats, now, limit)


def _stuck_in_waiting(beats: Sequence[Beat], now: float, limit: float) -> str | None:
    """A rank that waits, as it says, but does not come out: halted there, or still in a call that the others have left behind."""
    first = min(beats, key=lambda beat: beat.beat)
    halted = next((beat for beat in beats if now - beat.beat > limit and _state(beat.pid) == psutil.STATUS_STOPPED), None)
    left_behind = first if all(beat.waiting for beat in beats) and len({beat.stage for beat in beats}) > 1 else None
    if (stuck := halted or left_behind) is None:
        return None
    return (
        f"rank {stuck.rank} (process {stuck.pid}, {_state(stuck.pid)}) has not come out of waiting for {stuck.stage} for "
        f"{now - stuck.beat:.0f} s, after step {stuck.step}, while the others wait for it"
    )


def find_dead(beats: Sequence[Beat], spoken: Sequence[int]) -> Beat | None:
    """A rank that has ended without a last word."""
    return next((beat for beat in beats if beat.rank not in spoken and not _lives(beat.pid)), None)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _state(pid: int) -> str:
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return "gone"
