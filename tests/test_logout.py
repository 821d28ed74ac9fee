"""Whether logging out ends a run, and what the user is told."""

import pytest

from engine.logout import ending_of
from tui.logout import logout_hint
from tui.texts import set_language


@pytest.mark.parametrize(
    ("cgroup", "kills", "lingers", "ends"),
    [
        ("0::/user.slice/user-1000.slice/session-3.scope", True, True, "session"),
        ("0::/user.slice/user-1000.slice/session-3.scope", False, False, ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope", True, False, "linger"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope", True, True, ""),
        ("0::/system.slice/docker-1.scope", True, False, ""),
    ],
)
def test_logout_ends_only_what_systemd_would_end(cgroup, kills, lingers, ends):
    """A session's processes go with KillUserProcesses, the user manager's without lingering, others never."""
    assert ending_of(cgroup, kills, lingers) == ends


@pytest.mark.parametrize(("ends", "says"), [("", ""), ("session", "systemd-run --user --scope"), ("linger", "loginctl enable-linger")])
def test_hint_names_the_cure(ends, says, monkeypatch):
    """Each way of ending has a sentence with the command that prevents it; none has none."""
    monkeypatch.setattr("engine.logout.ending", lambda: ends)
    set_language("en")

    hint = logout_hint()

    assert says in hint and bool(hint) is bool(ends)
