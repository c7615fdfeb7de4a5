"""Models of ``AssetRegistry`` and ``CommitLog``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol import ids
from protocol.ids import address_bytes
from settlement.models.ledger import ZERO_ADDRESS, Env, Model, Slot, Table, revert

MAX_DATA_CLASS = 2
MAX_LINEAGE = 64
ALL_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Owner:
    """An operator key, its payout address, a change of it under way (``payout_from`` 0: none)."""

    operator: str
    payout: str
    registered_at: int
    payout_from: int = 0
    next_payout: str = ZERO_ADDRESS


class AssetRegistry(Model):
    """Owners in order of registration, and what they own."""

    NAME = "AssetRegistry"

    def __init__(self, env: Env, address: str, payout_delay: int) -> None:
        super().__init__(env, address)
        self._delay = payout_delay
        self._owners: Slot[tuple[Owner, ...]] = Slot(env, ())
        self._index: Table[str, int | None] = Table(env, None)
        self._datanets: Table[bytes, tuple[int, int] | None] = Table(env, None)
        self._models: Table[bytes, tuple[int, int] | None] = Table(env, None)
        self._lineages: Table[bytes, tuple[bytes, ...]] = Table(env, ())

    def registerOwner(self, sender: str, payout: str) -> int:
        if payout == ZERO_ADDRESS:
            raise revert("ZeroPayout")
        known = self._index[sender]
        if known is not None:
            raise revert("AlreadyRegistered", known)
        index = self.ownerCount()
        self._owners.value = (*self._owners.value, Owner(sender, payout, self.env.now))
        self._index[sender] = index
        self.emit("OwnerRegistered", {"index": index, "operator": sender, "payout": payout})
        return index

    def setPayout(self, sender: str, index: int, newPayout: str) -> None:
        if newPayout == ZERO_ADDRESS:
            raise revert("ZeroPayout")
        current = self.payoutOf(index)
        owner = self._owners.value[index]
        if sender == current:
            self._put(index, replace(owner, payout=newPayout, payout_from=0))
            self.emit("PayoutChanged", {"index": index, "payout": newPayout})
        elif sender == owner.operator:
            at = self.env.now + self._delay
            changed = replace(owner, payout=current, payout_from=at, next_payout=newPayout)
            self._put(index, changed)
            self.emit("PayoutScheduled", {"index": index, "payout": newPayout, "effectiveAt": at})
        else:
            raise revert("NotOwner", index, sender)

    def registerDatanet(self, sender: str, content: bytes, dataClass: int) -> bytes:
        owner = self.ownerIndex(sender)
        if dataClass > MAX_DATA_CLASS:
            raise revert("BadDataClass", dataClass)
        id = self.datanetId(sender, content)
        if self._datanets[id] is not None:
            raise revert("AssetExists", id)
        self._datanets[id] = (owner, dataClass)
        facts = {"id": id, "owner": owner, "content": content, "dataClass": dataClass}
        self.emit("DatanetRegistered", facts)
        return id

    def registerModel(
        self, sender: str, content: bytes, lineage: Sequence[bytes], royaltyBps: int
    ) -> bytes:
        owner = self.ownerIndex(sender)
        if royaltyBps > ALL_BPS:
            raise revert("BadRoyalty", royaltyBps)
        if len(lineage) > MAX_LINEAGE:
            raise revert("LineageTooLong", len(lineage))
        id = self.modelId(sender, content)
        if self._models[id] is not None:
            raise revert("AssetExists", id)
        self._models[id] = (owner, royaltyBps)
        self._lineages[id] = tuple(lineage)
        facts = {"id": id, "owner": owner, "content": content, "lineage": tuple(lineage)}
        self.emit("ModelRegistered", {**facts, "royaltyBps": royaltyBps})
        return id

    def datanetId(self, operator: str, content: bytes) -> bytes:
        return ids.datanet_id(address_bytes(operator), content)

    def modelId(self, operator: str, content: bytes) -> bytes:
        return ids.model_id(address_bytes(operator), content)

    def payoutDelay(self) -> int:
        return self._delay

    def ownerCount(self) -> int:
        return len(self._owners.value)

    def isRegistered(self, operator: str) -> bool:
        return self._index[operator] is not None

    def ownerIndex(self, operator: str) -> int:
        index = self._index[operator]
        if index is None:
            raise revert("NotRegistered", operator)
        return index

    def operatorOf(self, index: int) -> str:
        return self._owner(index).operator

    def payoutOf(self, index: int) -> str:
        owner = self._owner(index)
        changed = owner.payout_from != 0 and self.env.now >= owner.payout_from
        return owner.next_payout if changed else owner.payout

    def payoutAt(self, index: int) -> str:
        return self.payoutOf(index) if index < self.ownerCount() else ZERO_ADDRESS

    def registeredAt(self, index: int) -> int:
        return self._owner(index).registered_at

    def ownerAt(self, index: int) -> tuple[str, str]:
        return self.operatorOf(index), self.payoutOf(index)

    def payoutOfOperator(self, operator: str) -> str:
        return self.payoutOf(self.ownerIndex(operator))

    def datanetOf(self, id: bytes) -> tuple[int, int]:
        return _known(id, self._datanets[id])

    def modelOwner(self, id: bytes) -> int:
        return _known(id, self._models[id])[0]

    def royaltyOf(self, id: bytes) -> int:
        return _known(id, self._models[id])[1]

    def royaltyBpsOf(self, id: bytes) -> int:
        model = self._models[id]
        return 0 if model is None else model[1]

    def lineageOf(self, id: bytes) -> tuple[bytes, ...]:
        return self._lineages[id]

    def modelPayout(self, id: bytes) -> str:
        model = self._models[id]
        return ZERO_ADDRESS if model is None else self.payoutOf(model[0])

    def _owner(self, index: int) -> Owner:
        if index >= self.ownerCount():
            raise revert("UnknownOwner", index)
        return self._owners.value[index]

    def _put(self, index: int, owner: Owner) -> None:
        owners = self._owners.value
        self._owners.value = (*owners[:index], owner, *owners[index + 1 :])


class CommitLog(Model):
    """A public, ordered notebook: events only."""

    NAME = "CommitLog"

    def commit(self, sender: str, topic: bytes, subject: bytes, value: bytes) -> None:
        entry = {"topic": topic, "subject": subject, "operator": sender, "value": value}
        self.emit("Committed", entry)

    def commitMany(self, sender: str, entries: Sequence[tuple[bytes, bytes, bytes]]) -> None:
        for topic, subject, value in entries:
            self.commit(sender, topic, subject, value)


def _known(id: bytes, asset: tuple[int, int] | None) -> tuple[int, int]:
    if asset is None:
        raise revert("UnknownAsset", id)
    return asset
