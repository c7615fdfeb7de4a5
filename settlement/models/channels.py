"""Model of ``InferenceChannels``: deposits spent by cumulative vouchers, split by asset."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_utils.crypto import keccak

from protocol import typed_data
from protocol.ids import address_bytes
from settlement.models.ledger import MAX_UINT, ZERO_ADDRESS, Env, Model, Table, add, revert
from settlement.models.pool import AttributionPool
from settlement.models.pots import pot_id
from settlement.models.quorum import recover
from settlement.models.registry import ALL_BPS, AssetRegistry
from settlement.models.token import OpenToken
from settlement.vouchers import Usage, channel_id, usage_hash

MAX_USAGE = 32


@dataclass(frozen=True, slots=True)
class Channel:
    """One payer's deposit for one host; the host is zero once closed."""

    payer: str = ZERO_ADDRESS
    host: str = ZERO_ADDRESS
    deposit: int = 0
    spent: int = 0
    closes_at: int = 0


@dataclass(frozen=True, slots=True)
class ChannelTerms:
    """Constructor parameters: treasury, basis points by party, seconds of the closing delay."""

    treasury: str
    host_bps: int
    contributors_bps: int
    owner_bps: int
    close_seconds: int


class InferenceChannels(Model):
    """Paid answers."""

    NAME = "InferenceChannels"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        pool: AttributionPool,
        terms: ChannelTerms,
    ) -> None:
        super().__init__(env, address)
        shares = terms.host_bps + terms.contributors_bps + terms.owner_bps
        if shares > ALL_BPS or terms.treasury == ZERO_ADDRESS:
            raise revert("BadSplit")
        self._token = token
        self._registry = registry
        self._pool = pool
        self._terms = terms
        self._channels: Table[bytes, Channel] = Table(env, Channel())
        self._used: Table[tuple[bytes, bytes, int], int] = Table(env, 0)
        token.approve(address, pool.address, MAX_UINT)

    def open(self, sender: str, salt: bytes, host: str, amount: int) -> bytes:
        _positive(amount)
        self._registry.ownerIndex(host)
        channel = channel_id(sender, salt)
        if self._channels[channel].payer != ZERO_ADDRESS:
            raise revert("ChannelExists", channel)
        self._channels[channel] = Channel(sender, host, amount)
        parties = {"channel": channel, "payer": sender, "host": host}
        self.emit("ChannelOpened", {**parties, "salt": salt, "amount": amount})
        self._token.transferFrom(self.address, sender, self.address, amount)
        return channel

    def topUp(self, sender: str, channel: bytes, amount: int) -> None:
        _positive(amount)
        c = self._staying_open(channel)
        self._channels[channel] = replace(c, deposit=add(c.deposit, amount))
        self.emit("ChannelToppedUp", {"channel": channel, "source": sender, "amount": amount})
        self._token.transferFrom(self.address, sender, self.address, amount)

    def claim(
        self,
        _sender: str,
        channel: bytes,
        ceiling: int,
        usage: Sequence[tuple[bytes, int, int]],
        signature: bytes,
    ) -> None:
        c = self._open(channel)
        if ceiling > c.deposit:
            raise revert("CeilingAboveDeposit", ceiling, c.deposit)
        if not 0 < len(usage) <= MAX_USAGE:
            raise revert("BadUsageLength", len(usage))
        entries = [Usage(*entry) for entry in usage]
        self._check_signer(c.payer, channel, ceiling, entries, signature)
        paid, for_host, for_treasury = self._split_all(channel, ceiling, entries)
        if paid == 0:
            raise revert("NothingToClaim", channel)
        if c.spent + paid > ceiling:
            raise revert("SpentAboveCeiling", c.spent + paid, ceiling)
        self._channels[channel] = replace(c, spent=c.spent + paid)
        self.emit("VoucherClaimed", {"channel": channel, "ceiling": ceiling, "paid": paid})
        if for_host:
            self._token.transfer(self.address, self._registry.payoutOfOperator(c.host), for_host)
        if for_treasury:
            self._token.transfer(self.address, self._terms.treasury, for_treasury)

    def startClose(self, sender: str, channel: bytes) -> None:
        c = self._open(channel)
        if sender != c.payer:
            raise revert("NotPayer", channel, sender)
        self._staying_open(channel)
        closes_at = self.env.now + self._terms.close_seconds
        self._channels[channel] = replace(c, closes_at=closes_at)
        self.emit("ChannelClosing", {"channel": channel, "closesAt": closes_at})

    def close(self, _sender: str, channel: bytes) -> None:
        c = self._open(channel)
        if c.closes_at == 0 or self.env.now < c.closes_at:
            raise revert("CloseAhead", c.closes_at)
        refund = c.deposit - c.spent
        self._channels[channel] = replace(c, deposit=c.spent, host=ZERO_ADDRESS)
        self.emit("ChannelClosed", {"channel": channel, "refund": refund})
        if refund:
            self._token.transfer(self.address, c.payer, refund)

    def token(self) -> str:
        return self._token.address

    def registry(self) -> str:
        return self._registry.address

    def pool(self) -> str:
        return self._pool.address

    def treasury(self) -> str:
        return self._terms.treasury

    def hostBps(self) -> int:
        return self._terms.host_bps

    def contributorsBps(self) -> int:
        return self._terms.contributors_bps

    def ownerBps(self) -> int:
        return self._terms.owner_bps

    def closeSeconds(self) -> int:
        return self._terms.close_seconds

    def channelId(self, payer: str, salt: bytes) -> bytes:
        return channel_id(payer, salt)

    def feePot(self, channel: bytes, asset: bytes) -> bytes:
        return pot_id(self.address, keccak(channel + asset))

    def channelOf(self, channel: bytes) -> tuple[str, str, int, int, int]:
        c = self._channels[channel]
        return c.payer, c.host, c.deposit, c.spent, c.closes_at

    def usedOf(self, channel: bytes, asset: bytes, ruleVersion: int) -> int:
        return self._used[channel, asset, ruleVersion]

    def _open(self, channel: bytes) -> Channel:
        c = self._channels[channel]
        if c.host == ZERO_ADDRESS:
            raise revert("UnknownChannel", channel)
        return c

    def _staying_open(self, channel: bytes) -> Channel:
        c = self._open(channel)
        if c.closes_at:
            raise revert("ChannelIsClosing", channel)
        return c

    def _check_signer(
        self, payer: str, channel: bytes, ceiling: int, usage: list[Usage], signature: bytes
    ) -> None:
        voucher = typed_data.Voucher(channel, ceiling, usage_hash(usage))
        domain = typed_data.Domain(self.NAME, self.env.chain_id, address_bytes(self.address))
        signer = recover(voucher.digest(domain), signature)
        if signer != payer:
            raise revert("WrongSigner", signer, payer)

    def _split_all(self, channel: bytes, ceiling: int, usage: list[Usage]) -> tuple[int, int, int]:
        """Sums of (paid, host, treasury) over all entries, in order."""
        sums = [0, 0, 0]
        for position, entry in enumerate(usage):
            if position and not usage[position - 1].key < entry.key:
                raise revert("UsageUnsorted", position)
            delta = self._advance(channel, ceiling, entry)
            if delta:
                host, treasury = self._split(channel, entry.asset, delta)
                sums = [sums[0] + delta, sums[1] + host, sums[2] + treasury]
        return sums[0], sums[1], sums[2]

    def _advance(self, channel: bytes, ceiling: int, entry: Usage) -> int:
        key = channel, entry.asset, entry.rule_version
        before = self._used[key]
        if entry.cumulative > ceiling:
            raise revert("UsageAboveCeiling", entry.asset, entry.cumulative, ceiling)
        if entry.cumulative < before:
            raise revert("UsageNotMonotone", entry.asset, entry.cumulative, before)
        self._used[key] = entry.cumulative
        return entry.cumulative - before

    def _split(self, channel: bytes, asset: bytes, delta: int) -> tuple[int, int]:
        host = delta * self._terms.host_bps // ALL_BPS
        contributors = delta * self._terms.contributors_bps // ALL_BPS
        payout = self._registry.modelPayout(asset)
        owner = 0 if payout == ZERO_ADDRESS else delta * self._terms.owner_bps // ALL_BPS
        treasury = delta - host - contributors - owner
        parts = {"host": host, "owner": owner, "contributors": contributors, "treasury": treasury}
        self.emit("FeeSplit", {"channel": channel, "asset": asset, "delta": delta, **parts})
        if contributors:
            self._credit(channel, asset, contributors)
        if owner:
            self._token.transfer(self.address, payout, owner)
        return host, treasury

    def _credit(self, channel: bytes, asset: bytes, amount: int) -> None:
        pot = self.feePot(channel, asset)
        if self._pool.potOf(pot)[6]:
            self._pool.topUp(self.address, pot, amount)
        else:
            self._pool.fund(self.address, keccak(channel + asset), amount, 0, 0, asset)


def _positive(amount: int) -> None:
    if amount == 0:
        raise revert("ZeroAmount")
