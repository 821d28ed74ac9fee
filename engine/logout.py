"""Whether systemd would end a run when its user logs out. Asks systemd only where systemd runs; changes nothing."""

import os
import re
import subprocess
from pathlib import Path
from typing import Literal

PATIENCE_S = 2.0

Ending = Literal["", "session", "linger"]
"""session: with this login session.  linger: with the user's last session.  "": not at all."""


def ending() -> Ending:
    """When systemd would end what is started here."""
    if not Path("/run/systemd/system").is_dir() or os.geteuid() == 0:  # root is excluded by default
        return ""
    try:
        place = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return ""
    return ending_of(place, _ask("show-session", "KillUserProcesses") == "yes", _ask("show-user", "Linger", str(os.geteuid())) == "yes")


def ending_of(cgroup: str, kills: bool, lingers: bool) -> Ending:
    """The same for a process in `cgroup`.

    kills: KillUserProcesses of logind, which ends session scopes (ssh, console).  lingers: whether the user's own manager,
    which runs everything else of the user, outlives the last session.
    """
    if re.search(r"/session-[^/]+\.scope", cgroup):
        return "session" if kills else ""
    if re.search(r"/user@\d+\.service", cgroup) and not lingers:
        return "linger"
    return ""


def _ask(verb: str, name: str, *who: str) -> str:
    """A property as loginctl tells it, '' where it does not."""
    try:
        asked = subprocess.run(
            ["loginctl", verb, *who, "--property", name, "--value"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()
