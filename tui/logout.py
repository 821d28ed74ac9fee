"""What to tell a user whose run systemd would end at logout."""

from engine import logout
from tui.texts import tr


def logout_hint() -> str:
    """One sentence with the cure where logging out would end what is started here, else ''."""
    ends = logout.ending()
    return tr(f"cli.logout.{ends}") if ends else ""
