"""The live snapshot: read once per change, sent to every open page as server-sent events.

One task asks the node, and only while a page is open: a snapshot costs reads of the chain. A page
gets every section when it connects and afterwards only those whose bytes changed, so that fifty
pages cost the node no more than one.
"""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from weakref import WeakSet

import trio

from node.facade import NodeFacade
from protocol.errors import OpenLedgerError


@dataclass(slots=True)
class Feed:
    """``sections``: name -> (version, JSON text). ``fault`` holds the reason while reads fail."""

    facade: NodeFacade
    sections: dict[str, tuple[int, str]] = field(default_factory=dict)
    version: int = 0
    changed: trio.Event = field(default_factory=trio.Event)
    pages: "WeakSet[Events]" = field(default_factory=WeakSet)

    async def follow(self) -> None:
        """Refresh on every change of the node that somebody looks at; runs until cancelled."""
        changes = self.facade.changes()
        try:
            async for _ in changes:
                if self.pages:
                    await self.refresh()
        finally:
            if isinstance(changes, AsyncGenerator):
                await changes.aclose()

    async def refresh(self) -> None:
        """Read the snapshot; a node that cannot answer now is shown as a fault, not as silence."""
        try:
            snapshot = {**await self.facade.snapshot(), "fault": None}
        except OpenLedgerError as error:
            snapshot = {"fault": {"code": error.code, "text": error.text}}
        texts = {name: json.dumps(value, separators=(",", ":")) for name, value in snapshot.items()}
        fresh = {name: text for name, text in texts.items() if self._text(name) != text}
        if not fresh:
            return
        self.version += 1
        self.sections |= {name: (self.version, text) for name, text in fresh.items()}
        self.changed.set()
        self.changed = trio.Event()

    def events(self) -> "Events":
        """One page's stream."""
        page = Events(self)
        self.pages.add(page)
        return page

    def _text(self, name: str) -> str | None:
        return self.sections[name][1] if name in self.sections else None


@dataclass(slots=True, weakref_slot=True, eq=False)
class Events:
    """``event: SECTION`` with its JSON, for ever; starts with every section.

    An iterator with no generator inside: a page that leaves has nothing to finalise.
    """

    feed: Feed
    seen: int = 0

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> str:
        if self.seen == 0:
            await self.feed.refresh()
        while self.feed.version == self.seen:
            await self.feed.changed.wait()
        since, self.seen = self.seen, self.feed.version
        return "".join(
            f"event: {name}\ndata: {text}\n\n"
            for name, (version, text) in self.feed.sections.items()
            if version > since
        )
