"""A conversation as every part of Danlu holds it: turns with reasoning and answer apart. No reading, no rendering."""

from typing import Any, Literal

from msgspec import Struct, structs

Role = Literal["system", "user", "assistant", "tool"]


class Turn(Struct, frozen=True):
    """content: what is said, thinking tags removed.  reasoning: what an assistant thought before saying it, None for none."""

    role: Role
    content: str
    reasoning: str | None = None


class Conversation(Struct, frozen=True):
    """turns: in order, without system turns at the start (they are in `system`).  tools: JSON schemas the assistant may call.
    source: what it belongs to (a dialogue, a document), '' for nothing."""

    turns: tuple[Turn, ...]
    system: str = ""
    difficulty: str = ""
    category: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    source: str = ""

    @property
    def has_thinking(self) -> bool:
        """Whether any assistant turn shows its reasoning."""
        return any(turn.reasoning for turn in self.turns)

    def with_system(self, system: str) -> "Conversation":
        """The same conversation with this system prompt if it brings none."""
        return self if self.system or not system else structs.replace(self, system=system)

    def before(self, turn: int) -> "Conversation":
        """The same conversation up to, but without, turn number `turn`."""
        return self._with_turns(self.turns[:turn])

    def through(self, turn: int) -> "Conversation":
        """The same conversation up to and with turn number `turn`."""
        return self._with_turns(self.turns[: turn + 1])

    def assistant_turns(self) -> list[int]:
        """Numbers of the assistant's turns."""
        return [number for number, turn in enumerate(self.turns) if turn.role == "assistant"]

    def text(self) -> str:
        """What is asked and answered, a line a turn, reasoning left out: the text in which duplicates are looked for."""
        return "\n".join(turn.content for turn in self.turns)

    def _with_turns(self, turns: tuple[Turn, ...]) -> "Conversation":
        return structs.replace(self, turns=turns)
