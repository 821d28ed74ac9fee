"""What to tell a user whose run systemd would end at logout."""

from engine import logout
from tui.texts import tr


def logout_hint() -> str:
    """One sentence with the cure where logging out would end what is started here, else ''."""
    return _sentence(logout.ending())


def hint_for(cgroup: str, kills: bool, lingers: bool) -> str:
    """The sentence for a process in `cgroup`, as `engine.logout.ending_of` judges it."""
    return _sentence(logout.ending_of(cgroup, kills, lingers))


def _sentence(ending: logout.Ending) -> str:
    return tr(f"cli.logout.{ending}") if ending else ""
