"""What an engine's error says in the user's language: the catalogue's sentence for its code, else its own, which is English."""

from data.errors import DanluError
from engine.answers import Refused
from tui.texts import has, language, tr


def error_text(error: DanluError | Refused) -> str:
    """One message; outside text."""
    key = f"errors.{error.code}"
    if language() != "en" and error.code and has(key):
        return tr(key, **error.facts)
    return error.reason if isinstance(error, Refused) else str(error)
