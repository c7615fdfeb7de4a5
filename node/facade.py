"""What the HTTP API, the dashboard and the CLI may ask of a running node.

The daemon implements it; tests implement it with fixed values. Every answer is plain JSON data:
ids and addresses as hex text, money as decimal strings of the token's smallest unit, times in Unix seconds.
``docs/report.md`` lists the sections of a snapshot.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

Json = dict[str, Any]


class MoneyFacade(Protocol):
    """Coins. Amounts are OPEN as decimal text; an action answers ``tx`` (hex) and ``block``."""

    async def stake(self, amount: str) -> Json:
        """Deposit from the operator account: also ``stake``."""
        ...

    async def unstake(self, amount: str) -> Json:
        """Start unbonding: also ``unbonding``, ``release_at``, ``locked``."""
        ...

    async def withdraw(self) -> Json:
        """What has unbonded goes to the payout address: also ``withdrawn``, ``payout``."""
        ...

    async def unbonding(self) -> Json:
        """``{"unbonding", "release_at", "locked"}``."""
        ...

    async def fund(self, pot: str, amount: str) -> Json:
        """Add to an open pot."""
        ...

    async def channels(self) -> list[Json]:
        """Own channels, each ``{"channel", "payer", "host", "deposit", "spent", "closes_at", "state",
        "hosting", "terms"}``; terms are ``{"rate", "every", "served", "missed", "now"}`` of hosting that we pay.
        """
        ...

    async def open_channel(self, host: str, amount: str, rate: str = "", every: int = 0) -> Json:
        """A new channel to a host's operator, for hosting when a rate is given: also ``channel``."""
        ...

    async def top_up(self, channel: str, amount: str) -> Json:
        """Add to an open channel: also ``channel``."""
        ...

    async def close_channel(self, channel: str) -> Json:
        """Start the close, or end it after its delay: also the channel's facts."""
        ...

    async def claim_batch(self) -> Json:
        """Claim for all owners: ``{"owners", "claimed", "txs"}``."""
        ...

    async def review(self) -> Json:
        """The newest epoch against our own: ``{"epoch", "active", "on_trial", "fault", "bond"}``."""
        ...

    async def challenge(self, epoch: int, anyway: bool) -> Json:
        """Bring a pending epoch before a jury: also ``fault``, what we find wrong."""
        ...

    async def chain(self) -> Json:
        """``{"chain_id", "head", "folded", "operator", "pending", "faults", "contracts"}``."""
        ...


class NodeFacade(Protocol):
    """Reads are snapshots; actions raise OpenLedgerError with a code and a text for people."""

    @property
    def money(self) -> MoneyFacade: ...

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

    async def chat(self, model: str, prompt: str, max_tokens: int) -> Json:
        """One paid answer: ``{"receipt", "text", "base_text", "fee", "records", "spans", "lineage"}``."""
        ...

    async def claim(self) -> Json:
        """Claim everything claimable: ``{"claimed", "tx", "balance_before", "balance_after"}``."""
        ...

    async def set_payout(self, address: str) -> Json:
        """Schedule another payout address: ``{"payout", "since", "tx"}``."""
        ...

    async def governance(self) -> Json:
        """Rules in force and to come, this operator's votes, the governor's terms, all proposals."""
        ...

    async def govern(self, action: str, body: Json) -> Json:
        """``propose``, ``guardian``, ``successor``: ``{"proposal", ..}``; ``vote``: ``{"votes"}``;
        ``queue``, ``execute``: ``{"state"}``; ``delegate``, ``wrap``, ``unwrap``: ``{"gopen", "delegate",
        "votes"}``."""
        ...

    async def explain_claim(self) -> Json:
        """Task, verdict, share, root, claimable or why not yet, per pot."""
        ...
