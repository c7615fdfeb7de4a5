"""The models and the deployed bytecode side by side: every call runs on both and must agree."""

from dataclasses import dataclass, field, replace
from typing import Any

from eth_abi.abi import encode
from eth_account import Account

from protocol.errors import Reverted
from protocol.ids import address_bytes, checksum
from protocol.params import OPEN, SIMNET
from protocol.rules import genesis
from protocol.typed_data import address_of
from settlement import abi
from settlement.deploy import DeployParams, constructor_args, predicted
from settlement.devchain import DevChain
from settlement.devjson import Call, RpcError
from settlement.models.ledger import Env
from settlement.models.world import build

CHAIN_ID = 4242
KEYS = [bytes([number]) * 32 for number in range(1, 10)]
ACCOUNTS = [checksum(address_of(key)) for key in KEYS]
TREASURY = ACCOUNTS[8]
GAS = 5_000_000
START = 1_800_000_000

PARAMS = DeployParams(
    aggregators=tuple(ACCOUNTS[1:4]),
    aggregator_threshold=2,
    committee=tuple(ACCOUNTS[1:4]),
    committee_threshold=2,
    treasury=TREASURY,
    window=10,
    unit_stake=5 * OPEN,
    unbonding_seconds=30,
    payout_delay=20,
    reclaim_seconds=100,
    close_seconds=15,
    host_bps=2_000,
    contributors_bps=6_000,
    owner_bps=1_500,
    rules=replace(genesis(SIMNET), window_seconds=10),
    guardian=ACCOUNTS[7],
    min_window=5,
    max_window=20,
    supply=1_000_000 * OPEN,
)


@dataclass(frozen=True)
class Outcome:
    """What a transaction did: events in order, or the name of its error."""

    events: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    error: str = ""
    gas: int = field(default=0, compare=False)

    def __bool__(self) -> bool:
        return not self.error


class Pair:
    """One deployment on an in-process EVM and one of the models, under the same clock."""

    def __init__(self, params: DeployParams = PARAMS) -> None:
        self.now = START
        funded = [address_bytes(account) for account in ACCOUNTS]
        self.box = DevChain(CHAIN_ID, funded, lambda: self.now)
        self.env = Env(CHAIN_ID, self.now)
        self.models = build(self.env, params, KEYS[0])
        self.env.commit()
        self._nonces = dict.fromkeys(ACCOUNTS, 0)
        self.addresses = predicted(ACCOUNTS[0], 0)
        for contract, args in constructor_args(params, self.addresses).items():
            inputs = abi.constructor(contract)
            words = encode([param.canonical for param in inputs], abi.typed(inputs, args))
            self._send(0, "", abi.artifact(contract).bytecode + words)
            code = self.box.account(address_bytes(self.addresses[contract]), self.box.head())[2]
            assert abi.artifact(contract).same_code(code)

    def wait(self, seconds: int) -> None:
        """Let time pass on both."""
        self.now += seconds
        self.box.tick()
        self.env.now = self.now

    def write(self, who: int, contract: str, function: str, *args: Any) -> Outcome:
        """One transaction by account ``who`` on both."""
        on_evm = self._evm(who, contract, function, args)
        on_model = self._model(who, contract, function, args)
        assert on_evm == on_model, (contract, function, args)
        return on_evm

    def read(self, contract: str, function: str, *args: Any) -> Any:
        """One view on both: the value, or the error's name."""
        known = abi.function(contract, function, view=True)
        to = address_bytes(self.addresses[contract])
        call = Call(bytes(20), to, 0, known.call_data(args), 0)
        try:
            raw = self.box.call(call, self.box.head())
            on_evm = abi.unwrap(known.outputs, abi.decode(known.output_types, raw))
        except RpcError as error:
            on_evm = _name(error)
        try:
            on_model = getattr(self.models[contract], function)(*abi.typed(known.inputs, args))
        except Reverted as error:
            on_model = error.code
        assert on_evm == on_model, (contract, function, args)
        return on_evm

    def _model(self, who: int, contract: str, function: str, args: Any) -> Outcome:
        inputs = abi.function(contract, function, view=False).inputs
        values = (ACCOUNTS[who], *abi.typed(inputs, args))
        method = getattr(self.models[contract], function)
        try:
            self.env.attempt(lambda: method(*values))
        except Reverted as error:
            return Outcome(error=error.code)
        logs = self.env.commit()
        return Outcome(tuple((log.contract, log.name, log.args) for log in logs))

    def _evm(self, who: int, contract: str, function: str, args: Any) -> Outcome:
        data = abi.function(contract, function, view=False).call_data(args)
        to = self.addresses[contract]
        call = Call(address_bytes(ACCOUNTS[who]), address_bytes(to), 0, data, GAS)
        try:
            self.box.call(call, self.box.head())
        except RpcError as error:
            return Outcome(error=_name(error))
        mined = self.box.transaction(self._send(who, to, data))
        assert mined is not None
        assert mined.receipt.state_root == b"\x01"
        names = {address_bytes(address): name for name, address in self.addresses.items()}
        events = []
        for log in self.box.logs(mined.block, mined.block):
            kind = abi.events(names[log.address])[log.topics[0]]
            args = abi.decode_log(kind, log.topics, log.data)
            events.append((names[log.address], kind.name, args))
        return Outcome(tuple(events), gas=mined.receipt.gas_used)

    def _send(self, who: int, to: str, data: bytes) -> bytes:
        sender = ACCOUNTS[who]
        unsigned = {
            "chainId": CHAIN_ID,
            "type": 2,
            "nonce": self._nonces[sender],
            "gas": GAS,
            "maxFeePerGas": 4 * 10**9,
            "maxPriorityFeePerGas": 10**9,
            "to": to,
            "value": 0,
            "data": data,
        }
        self._nonces[sender] += 1
        return self.box.send(bytes(Account.sign_transaction(unsigned, KEYS[who]).raw_transaction))


def _name(error: RpcError) -> str:
    assert error.code == 3, error
    return abi.error_name(bytes.fromhex((error.data or "0x")[2:]))
