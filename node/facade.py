"""What the HTTP API, the dashboard and the CLI may ask of a running node.

The daemon implements it; tests implement it with fixed values. Every answer is plain JSON data:
ids and addresses as hex text, money as decimal strings of the token's smallest unit, times in Unix seconds.
``docs/report.md`` lists the sections of a snapshot.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

Json = dict[str, Any]


class NodeFacade(Protocol):
    """Reads are snapshots; actions raise OpenLedgerError with a code and a text for people."""

    async def snapshot(self) -> Json:
        """All sections: status, peers, datanets, jobs, verdicts, slashes, attribution, epochs, claims,
        answers, failures, log."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yields when something in the snapshot may have changed (coalesced, at most 5 a second)."""
        ...

    async def create_datanet(
        self, name: str, data_class: str, licence: str, description: str
    ) -> Json:
        """Found and register a Datanet: ``{"datanet": id}``."""
        ...

    async def add_shard(self, datanet: str, path: str) -> Json:
        """Take in a .jsonl or .txt file, commit it: ``{"commitment", "records"}``."""
        ...

    async def submit_job(self, recipe: str) -> Json:
        """Post a job from TOML recipe text and fund its pot: ``{"job", "pot", "tx"}``."""
        ...

    async def chat(self, adapter: str, prompt: str, max_tokens: int) -> Json:
        """One paid answer: ``{"receipt", "text", "base_text", "fee", "records", "spans", "lineage"}``."""
        ...

    async def claim(self) -> Json:
        """Claim everything claimable: ``{"claimed", "tx", "balance_before", "balance_after"}``."""
        ...

    async def set_payout(self, address: str) -> Json:
        """Schedule another payout address: ``{"payout", "since", "tx"}``."""
        ...

    async def explain_claim(self) -> Json:
        """Task, verdict, share, root, claimable or why not yet, per pot."""
        ...
