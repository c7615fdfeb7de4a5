"""Model of ``InferenceChannels``: deposits spent by cumulative vouchers, booked, then swept."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from protocol import typed_data
from protocol.errors import Reverted
from protocol.ids import address_bytes
from settlement.models.fees import Booked, FeeSplitter
from settlement.models.ledger import MAX_UINT128, ZERO_ADDRESS, Env, Table, add, revert
from settlement.models.pool import AttributionPool
from settlement.models.quorum import recover
from settlement.models.registry import AssetRegistry
from settlement.models.rules import RuleRegistry
from settlement.models.token import OpenToken
from settlement.vouchers import Usage, channel_id, usage_hash

MAX_USAGE = 32
UsageTuple = tuple[bytes, int, int]
VoucherTuple = tuple[bytes, int, Sequence[UsageTuple], bytes]
PermitTuple = tuple[int, int, bytes, bytes]  # deadline, v, r, s


@dataclass(frozen=True, slots=True)
class Channel:
    """One payer's deposit for one host; the payer is zero in an unknown one."""

    payer: str = ZERO_ADDRESS
    host: str = ZERO_ADDRESS
    deposit: int = 0
    spent: int = 0
    closes_at: int = 0
    closed: bool = False
    hosting: bool = False


class InferenceChannels(FeeSplitter):
    """Paid answers, and paid hosting."""

    NAME = "InferenceChannels"

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        pool: AttributionPool,
        rules: RuleRegistry,
        treasury: str,
        close_seconds: int,
    ) -> None:
        super().__init__(env, address, token, registry, pool, rules, treasury)
        self._close_seconds = close_seconds
        self._channels: Table[bytes, Channel] = Table(env, Channel())
        self._claimed: Table[tuple[bytes, bytes, int], int] = Table(env, 0)
        self._due: Table[tuple[bytes, bytes, int], int] = Table(env, 0)

    def open(self, sender: str, salt: bytes, host: str, amount: int) -> bytes:
        return self._open(sender, salt, host, amount, False)

    def openHosting(self, sender: str, salt: bytes, host: str, amount: int) -> bytes:
        return self._open(sender, salt, host, amount, True)

    def openWithPermit(
        self, sender: str, salt: bytes, host: str, amount: int, permit: PermitTuple
    ) -> bytes:
        deadline, v, r, s = permit
        owner = self.address
        with suppress(Reverted):  # whoever saw the permit may have used it first
            self.env.attempt(
                lambda: self._token.permit(owner, sender, owner, amount, deadline, v, r, s)
            )
        return self._open(sender, salt, host, amount, False)

    def topUp(self, sender: str, channel: bytes, amount: int) -> None:
        c = self._live(channel)
        if c.closes_at:
            raise revert("ChannelIsClosing", channel)
        _check_amount(amount)
        deposit = add(c.deposit, amount)
        if deposit > MAX_UINT128:
            raise revert("Panic", 0x11)
        self._channels[channel] = replace(c, deposit=deposit)
        self.emit("ChannelToppedUp", {"channel": channel, "source": sender, "amount": amount})
        self._token.transferFrom(self.address, sender, self.address, amount)

    def claim(
        self,
        _sender: str,
        channel: bytes,
        ceiling: int,
        usage: Sequence[UsageTuple],
        signature: bytes,
    ) -> None:
        c = self._live(channel)
        if ceiling > c.deposit:
            raise revert("CeilingAboveDeposit", ceiling, c.deposit)
        if not 0 < len(usage) <= MAX_USAGE:
            raise revert("BadUsageLength", len(usage))
        entries = [Usage(*entry) for entry in usage]
        self._check_signer(c.payer, channel, ceiling, entries, signature)
        if c.hosting:
            self._check_owner(c.payer, entries)
        paid = self._book_all(channel, ceiling, entries)
        if paid == 0:
            raise revert("NothingToClaim", channel)
        if c.spent + paid > ceiling:
            raise revert("SpentAboveCeiling", c.spent + paid, ceiling)
        self._channels[channel] = replace(c, spent=c.spent + paid)
        self.emit("VoucherClaimed", {"channel": channel, "paid": paid})

    def claimMany(self, _sender: str, vouchers: Sequence[VoucherTuple]) -> None:
        for voucher in vouchers:
            try:
                self.env.attempt(lambda v=voucher: self.claim(self.address, *v))  # type: ignore[misc]
            except Reverted:
                self.emit("ClaimSkipped", {"channel": voucher[0]})

    def sweep(self, _sender: str, channel: bytes, parts: Sequence[Booked]) -> None:
        c = self._channels[channel]
        if c.payer == ZERO_ADDRESS:
            raise revert("UnknownChannel", channel)
        for_host = for_treasury = 0
        for asset, version in parts:
            due = self._due[channel, asset, version]
            if not due:
                raise revert("NothingDue", asset, version)
            self._due[channel, asset, version] = 0
            if c.hosting:
                self.emit_split(channel, (asset, version), due, due, 0, 0, 0, 0)
                for_host += due
                continue
            host, treasury = self.split(channel, (asset, version), due)
            for_host, for_treasury = for_host + host, for_treasury + treasury
        if for_host:
            self._token.transfer(self.address, self._registry.payoutOfOperator(c.host), for_host)
        if for_treasury:
            self._token.transfer(self.address, self._treasury, for_treasury)

    def startClose(self, sender: str, channel: bytes) -> None:
        c = self._live(channel)
        if sender != c.payer:
            raise revert("NotPayer", channel, sender)
        if c.closes_at:
            raise revert("ChannelIsClosing", channel)
        closes_at = self.env.now + self._close_seconds
        self._channels[channel] = replace(c, closes_at=closes_at)
        self.emit("ChannelClosing", {"channel": channel, "closesAt": closes_at})

    def close(self, _sender: str, channel: bytes) -> None:
        c = self._live(channel)
        if c.closes_at == 0 or self.env.now < c.closes_at:
            raise revert("CloseAhead", c.closes_at)
        refund = c.deposit - c.spent
        self._channels[channel] = replace(c, deposit=c.spent, closed=True)
        self.emit("ChannelClosed", {"channel": channel, "refund": refund})
        if refund:
            self._token.transfer(self.address, c.payer, refund)

    def closeSeconds(self) -> int:
        return self._close_seconds

    def channelId(self, payer: str, salt: bytes) -> bytes:
        return channel_id(payer, salt)

    def channelOf(self, channel: bytes) -> tuple[str, str, int, int, int, bool, bool]:
        c = self._channels[channel]
        return c.payer, c.host, c.deposit, c.spent, c.closes_at, c.closed, c.hosting

    def usedOf(self, channel: bytes, asset: bytes, ruleVersion: int) -> int:
        return self._claimed[channel, asset, ruleVersion]

    def dueOf(self, channel: bytes, asset: bytes, ruleVersion: int) -> int:
        return self._due[channel, asset, ruleVersion]

    def _open(self, sender: str, salt: bytes, host: str, amount: int, hosting: bool) -> bytes:
        if self._rules.paused():
            raise revert("OpensPaused")
        _check_amount(amount)
        self._registry.ownerIndex(host)
        channel = channel_id(sender, salt)
        if self._channels[channel].payer != ZERO_ADDRESS:
            raise revert("ChannelExists", channel)
        self._channels[channel] = Channel(sender, host, amount, hosting=hosting)
        parties = {"channel": channel, "payer": sender, "host": host}
        told = {**parties, "salt": salt, "amount": amount, "hosting": hosting}
        self.emit("ChannelOpened", told)
        self._token.transferFrom(self.address, sender, self.address, amount)
        return channel

    def _live(self, channel: bytes) -> Channel:
        c = self._channels[channel]
        if c.payer == ZERO_ADDRESS or c.closed:
            raise revert("UnknownChannel", channel)
        return c

    def _check_signer(
        self, payer: str, channel: bytes, ceiling: int, usage: list[Usage], signature: bytes
    ) -> None:
        voucher = typed_data.Voucher(channel, ceiling, usage_hash(usage))
        domain = typed_data.Domain(self.NAME, self.env.chain_id, address_bytes(self.address))
        signer = recover(voucher.digest(domain), signature)
        if signer != payer:
            raise revert("WrongSigner", signer, payer)

    def _check_owner(self, payer: str, usage: list[Usage]) -> None:
        for entry in usage:
            if self._registry.operatorOf(self._registry.modelOwner(entry.asset)) != payer:
                raise revert("NotModelOwner", entry.asset, payer)

    def _book_all(self, channel: bytes, ceiling: int, usage: list[Usage]) -> int:
        """The sum of what all entries add, in order."""
        in_force, paid = self._rules.versionAt(self.env.now), 0
        for position, entry in enumerate(usage):
            if position and not usage[position - 1].key < entry.key:
                raise revert("UsageUnsorted", position)
            if entry.rule_version > in_force:
                raise revert("RulesAhead", entry.rule_version, in_force)
            paid += self._book(channel, ceiling, entry, in_force)
        return paid

    def _book(self, channel: bytes, ceiling: int, entry: Usage, in_force: int) -> int:
        key = channel, entry.asset, entry.rule_version
        before = self._claimed[key]
        if entry.cumulative > ceiling:
            raise revert("UsageAboveCeiling", entry.asset, entry.cumulative, ceiling)
        if entry.cumulative < before:
            raise revert("UsageNotMonotone", entry.asset, entry.cumulative, before)
        delta = entry.cumulative - before
        if not delta:
            return 0
        self._claimed[key] = entry.cumulative
        over = entry.rule_version != in_force and self._is_over(entry.rule_version)
        under = in_force if over else entry.rule_version
        self._due[channel, entry.asset, under] += delta
        told = {"channel": channel, "asset": entry.asset, "ruleVersion": entry.rule_version}
        self.emit("UsageBooked", {**told, "bookedUnder": under, "delta": delta})
        return delta

    def _is_over(self, version: int) -> bool:
        """Whether the version's successor has been in force for longer than the closing delay."""
        if not version:
            return True
        return self.env.now > self._rules.effectiveAt(version + 1) + self._close_seconds


def _check_amount(amount: int) -> None:
    if not 0 < amount <= MAX_UINT128:
        raise revert("BadAmount", amount)
