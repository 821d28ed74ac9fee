"""Control of a run of several ranks: the first rank listens to consoles and signals, and all ranks hear the same in the same order."""

from engine import commands
from engine.control import Control
from engine.ranks import Ranks


class SharedControl:
    """Like `engine.control.Control`; each call is made by all ranks together.

    signalled: as of the last `take`, so that no rank leaves a loop that another one is still in.
    """

    def __init__(self, control: Control, ranks: Ranks):
        self.own, self._ranks = control, ranks
        self.signalled = False
        self.stale = control.stale if ranks.is_first else []

    def take(self) -> commands.Command | None:
        """The next command, or None."""
        command = None if self.own.signalled else self.own.take()
        word = {"signalled": self.own.signalled, "command": command and commands.encode(command).decode()}
        heard = self._ranks.follow(word)
        self.signalled = heard["signalled"]
        return commands.decode(heard["command"].encode()) if heard["command"] else None

    def interrupted(self) -> bool:
        """Whether long work should give up."""
        return self._ranks.follow(self.own.interrupted())
