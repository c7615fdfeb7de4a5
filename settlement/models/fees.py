"""Model of ``FeeSplitter``: a fee divided by the rules of a version."""

from eth_utils.crypto import keccak

from protocol.rules import Rules
from settlement.models.ledger import MAX_UINT, ZERO_ADDRESS, Env, Model, revert
from settlement.models.pool import AttributionPool
from settlement.models.pots import pot_id
from settlement.models.registry import ALL_BPS, AssetRegistry
from settlement.models.rules import RuleRegistry
from settlement.models.token import OpenToken

Booked = tuple[bytes, int]  # asset, rule version


class FeeSplitter(Model):
    """Everybody gets floor(bps) but the contributors' pot, which gets the remainder."""

    def __init__(
        self,
        env: Env,
        address: str,
        token: OpenToken,
        registry: AssetRegistry,
        pool: AttributionPool,
        rules: RuleRegistry,
        treasury: str,
    ) -> None:
        super().__init__(env, address)
        if treasury == ZERO_ADDRESS:
            raise revert("ZeroTreasury")
        self._token = token
        self._registry = registry
        self._pool = pool
        self._rules = rules
        self._treasury = treasury
        token.approve(address, pool.address, MAX_UINT)

    def token(self) -> str:
        return self._token.address

    def registry(self) -> str:
        return self._registry.address

    def pool(self) -> str:
        return self._pool.address

    def rules(self) -> str:
        return self._rules.address

    def treasury(self) -> str:
        return self._treasury

    def feePot(self, channel: bytes, asset: bytes) -> bytes:
        return pot_id(self.address, keccak(channel + asset))

    def split(self, channel: bytes, part: Booked, delta: int) -> tuple[int, int]:
        """Pay owner, ancestors and pot; what the caller pays to (host, treasury)."""
        asset, version = part
        r = Rules(*self._rules.rulesOf(version))
        host, treasury = (delta * bps // ALL_BPS for bps in (r.fee_host_bps, r.fee_treasury_bps))
        owner = self._pay_owner(asset, delta * r.fee_owner_bps // ALL_BPS)
        lineage = self._pay_lineage(asset, delta, r.fee_lineage_bps)
        rest = delta - host - treasury - owner - lineage
        self.emit_split(channel, part, delta, host, owner, lineage, treasury, rest)
        if rest:
            self._credit(channel, asset, rest)
        return host, treasury

    def emit_split(self, channel: bytes, part: Booked, delta: int, *parts: int) -> None:
        """FeeSplit with its parts in the event's order."""
        names = ("host", "owner", "lineage", "treasury", "contributors")
        place = {"channel": channel, "asset": part[0], "ruleVersion": part[1], "delta": delta}
        self.emit("FeeSplit", {**place, **dict(zip(names, parts, strict=True))})

    def _pay_owner(self, asset: bytes, amount: int) -> int:
        payout = self._registry.modelPayout(asset)
        if payout == ZERO_ADDRESS or not amount:
            return 0
        self._token.transfer(self.address, payout, amount)
        return amount

    def _pay_lineage(self, asset: bytes, delta: int, cap_bps: int) -> int:
        ancestors = self._registry.lineageOf(asset) if cap_bps else ()
        royalties = [self._registry.royaltyBpsOf(ancestor) for ancestor in ancestors]
        together, paid = sum(royalties), 0
        most, scale = (cap_bps, together) if together > cap_bps else (1, 1)
        for ancestor, royalty in zip(ancestors, royalties, strict=True):
            amount = delta * royalty * most // (ALL_BPS * scale)
            if not amount:
                continue
            paid += amount
            payout = self._registry.modelPayout(ancestor)
            told = {"ancestor": ancestor, "payout": payout, "amount": amount}
            self.emit("RoyaltyPaid", told)
            self._token.transfer(self.address, payout, amount)
        return paid

    def _credit(self, channel: bytes, asset: bytes, amount: int) -> None:
        pot = self.feePot(channel, asset)
        if self._pool.potOf(pot)[6]:
            self._pool.topUp(self.address, pot, amount)
        else:
            self._pool.fund(self.address, keccak(channel + asset), amount, 0, 0, asset)
