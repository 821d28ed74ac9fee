"""Keys that come faster than the screens take them: each is let through when the one before it has had its effect.

Textual hands a key to whatever has the focus when it arrives. On a busy machine those behind the one that opens a dialog (`o` and
a path) would reach the screen below it and be lost.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

PATIENCE_S = 1.0
"""What does not end holds no key back for longer."""


class TypedAhead:
    """The keys of one application."""

    def __init__(self, app: App, let_through: Callable[[events.Event], Awaitable[None]]):
        """let_through: hands a key to what has the focus."""
        self._app, self._let_through = app, let_through
        self._waiting: deque[events.Event] = deque()
        self._taken: events.Event | None = None
        """The key whose effect is being waited for."""
        self._since = 0.0

    async def take(self, key: events.Event) -> None:
        """Let `key` through when it is its turn."""
        self._waiting.append(key)
        if self._taken is None or time.monotonic() - self._since > PATIENCE_S:
            await self._next()

    async def _next(self) -> None:
        self._taken = None
        if not self._waiting:
            return
        key = self._taken = self._waiting.popleft()
        self._since = time.monotonic()
        screen, focus = self._app.screen, self._app.focused or self._app.screen
        await self._let_through(key)
        self._follow(key, [*focus.ancestors_with_self], lambda: self._settle(key, screen))

    def _settle(self, key: events.Event, screen: MessagePump) -> None:
        """What the key has opened takes its focus first."""
        opened = [] if self._app.screen is screen else [self._app.screen, self._app]
        self._follow(key, opened, lambda: self._app.call_later(self._done, key))

    def _follow(self, key: events.Event, path: list[MessagePump], then: Callable[[], object]) -> None:
        """Call `then` when all that `key` meets on its way up has gone through its messages."""
        while path and self._taken is key:
            node, *path = path
            if node.call_later(self._follow, key, path, then):
                return
        if self._taken is key:
            then()

    async def _done(self, key: events.Event) -> None:
        if self._taken is key:
            await self._next()
