"""Model of ``OpenTimelock``: what the governor queued waits, then its calls are made."""

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol.ids import address_bytes
from settlement.models import dispatch
from settlement.models.ledger import ZERO32, Env, Model, Slot, Table, revert

UNSET, WAITING, READY, DONE = range(4)
DONE_TIME = 1
Calls = tuple[Sequence[str], Sequence[int], Sequence[bytes]]  # targets, values, payloads


class OpenTimelock(Model):
    """The address that governance speaks from. Only the governor's batches; roles are not modelled."""

    NAME = "OpenTimelock"

    def __init__(self, env: Env, address: str, delay: int, governor: str, deployer: str) -> None:
        super().__init__(env, address)
        self._delay = Slot(env, delay)
        self._times: Table[bytes, int] = Table(env, 0)
        self._grant(ZERO32, address, deployer)
        for name in ("PROPOSER", "CANCELLER", "EXECUTOR"):
            self._grant(keccak(f"{name}_ROLE".encode()), governor, deployer)
        self.emit("MinDelayChange", {"oldDuration": 0, "newDuration": delay})

    def updateDelay(self, sender: str, newDelay: int) -> None:
        if sender != self.address:
            raise revert("TimelockUnauthorizedCaller", sender)
        self.emit("MinDelayChange", {"oldDuration": self._delay.value, "newDuration": newDelay})
        self._delay.value = newDelay

    def getMinDelay(self) -> int:
        return self._delay.value

    def getTimestamp(self, id: bytes) -> int:
        return self._times[id]

    def getOperationState(self, id: bytes) -> int:
        time = self._times[id]
        if time in (0, DONE_TIME):
            return DONE if time else UNSET
        return WAITING if time > self.env.now else READY

    def isOperationPending(self, id: bytes) -> bool:
        return self.getOperationState(id) in (WAITING, READY)

    def schedule_batch(self, calls: Calls, salt: bytes) -> bytes:
        """Queue calls under the least delay, as the governor does; the operation's id."""
        id, delay = batch_id(calls, salt), self._delay.value
        if self.getOperationState(id) != UNSET:
            raise revert("TimelockUnexpectedOperationState", id)
        self._times[id] = self.env.now + delay
        for index, (target, value, data) in enumerate(zip(*calls, strict=True)):
            call = {"target": target, "value": value, "data": data}
            told = {"id": id, "index": index, **call, "predecessor": ZERO32, "delay": delay}
            self.emit("CallScheduled", told)
        self.emit("CallSalt", {"id": id, "salt": salt})
        return id

    def execute_batch(self, calls: Calls, salt: bytes) -> None:
        """Make the queued calls, from this address."""
        id = batch_id(calls, salt)
        self._check_ready(id)
        for index, (target, value, data) in enumerate(zip(*calls, strict=True)):
            if value:  # the timelock of the models owns no coins of the chain
                raise revert("FailedCall")
            dispatch.call(self.env, self.address, target, data)
            call = {"target": target, "value": value, "data": data}
            self.emit("CallExecuted", {"id": id, "index": index, **call})
        self._check_ready(id)
        self._times[id] = DONE_TIME

    def _grant(self, role: bytes, account: str, sender: str) -> None:
        self.emit("RoleGranted", {"role": role, "account": account, "sender": sender})

    def _check_ready(self, id: bytes) -> None:
        if self.getOperationState(id) != READY:
            raise revert("TimelockUnexpectedOperationState", id)


def batch_id(calls: Calls, salt: bytes) -> bytes:
    """keccak256(abi.encode(targets, values, payloads, 0, salt))."""
    types = ["address[]", "uint256[]", "bytes[]", "bytes32", "bytes32"]
    return keccak(encode(types, [*calls, ZERO32, salt]))


def governor_salt(governor: str, description_hash: bytes) -> bytes:
    """The salt that keeps governors of one timelock apart."""
    left = address_bytes(governor).ljust(32, b"\x00")
    return bytes(a ^ b for a, b in zip(left, description_hash, strict=True))
