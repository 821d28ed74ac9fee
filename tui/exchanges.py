"""The questions of a session with what was answered to them, and which of them is looked at."""

from dataclasses import dataclass, field

from tui.model_state import Answer


@dataclass(eq=False)
class Exchange:
    """One question and what was answered to it, by whether that is the base model.

    run_name, step: of the trained model.  given_up, broken_off: whose answers ended by the user's wish, or with the model's process.
    """

    prompt: str
    run_name: str
    step: int = 0
    answers: dict[bool, Answer] = field(default_factory=dict)
    given_up: set[bool] = field(default_factory=set)
    broken_off: set[bool] = field(default_factory=set)


class Exchanges:
    """All of them, whichever model they went to, oldest first."""

    def __init__(self) -> None:
        self._all: list[Exchange] = []
        self._at = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def shown(self) -> Exchange | None:
        return self._all[self._at] if self._all else None

    @property
    def number(self) -> int:
        """Of the one that is shown, from 1."""
        return self._at + 1

    def add(self, exchange: Exchange) -> None:
        """Show a new question."""
        self._all.append(exchange)
        self._at = len(self._all) - 1

    def turn(self, questions: int) -> None:
        """Show an earlier (negative) or later one."""
        self._at = min(max(0, self._at + questions), max(0, len(self._all) - 1))

    def forget_unanswered(self) -> None:
        """Drop questions whose model has gone before it said anything."""
        self._all = [exchange for exchange in self._all if exchange.answers]
        self.turn(0)
