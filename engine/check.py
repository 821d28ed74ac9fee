"""One finding of `danlu doctor`."""

from msgspec import Struct


class Check(Struct, frozen=True, kw_only=True):
    """name: stable.  detail: what was found, one sentence.  cure: what to do, empty when ok.
    required: whether training is impossible without it; the others are advice."""

    name: str
    ok: bool
    detail: str
    cure: str = ""
    required: bool = True
