"""The models and the deployed bytecode side by side: every call runs on both and must agree."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from eth_abi.abi import encode

from protocol.errors import Reverted
from protocol.ids import address_bytes, checksum
from protocol.params import OPEN, SIMNET
from protocol.rules import genesis
from protocol.typed_data import address_of
from settlement import abi
from settlement.deploy import CourtParams, DeployParams, Voting, constructor_args, predicted
from settlement.models.ledger import Env
from settlement.models.world import build
from tests.settlement.engines import Box, Engine, fastest

CHAIN_ID = 4242
KEYS = [bytes([number]) * 32 for number in range(1, 21)]
ACCOUNTS = [checksum(address_of(key)) for key in KEYS]
TREASURY = ACCOUNTS[8]
START = 1_800_000_000

PARAMS = DeployParams(
    aggregators=tuple(ACCOUNTS[1:4]),
    aggregator_threshold=2,
    committee=tuple(ACCOUNTS[1:4]),
    committee_threshold=2,
    treasury=TREASURY,
    window=10,
    unit_stake=5 * OPEN,
    unbonding_seconds=90,
    payout_delay=20,
    reclaim_seconds=100,
    stall_seconds=60,
    opening_bond=OPEN,
    opening_fine=2 * OPEN,
    close_seconds=15,
    rules=replace(
        genesis(SIMNET), window_seconds=10, unit_stake=5 * OPEN, unit_pay=OPEN, slash=5 * OPEN
    ),
    guardian=ACCOUNTS[7],
    voting=Voting(delay=5, period=20, timelock=10, threshold=1_000 * OPEN, fee=OPEN),
    min_window=5,
    max_window=20,
    court=CourtParams(
        appeal_seconds=8,
        vote_seconds=10,
        accusation_seconds=40,
        epoch_seconds=7,
        seats=3,
        min_seats=3,
        bond=2 * OPEN,
        accuser_stake=OPEN,
        signer_slash=3 * OPEN,
        juror_fee=OPEN // 10,
        reward_cap=OPEN // 4,
    ),
    supply=1_000_000 * OPEN,
)


Event = tuple[str, str, dict[str, Any]]  # contract, name, arguments


@dataclass(frozen=True)
class Outcome:
    """What a transaction did: events in order, or the name of its error."""

    events: tuple[Event, ...] = ()
    error: str = ""
    gas: int | None = field(default=None, compare=False)  # in the box only

    def __bool__(self) -> bool:
        return not self.error


class Pair:
    """One deployment on an EVM and one of the models, under the same clock."""

    def __init__(self, params: DeployParams = PARAMS, *, box: bool = False) -> None:
        self.now = START
        engine: Callable[..., Engine] = Box if box else fastest
        self.engine = engine(CHAIN_ID, self._clock, ACCOUNTS)
        self.env = Env(CHAIN_ID, self.now, self.engine.block_hash)
        self.models = build(self.env, params, KEYS[0])
        self.env.commit()
        self.addresses = predicted(ACCOUNTS[0], 0)
        for contract, args in constructor_args(params, self.addresses).items():
            inputs = abi.constructor(contract)
            words = encode([param.canonical for param in inputs], abi.typed(inputs, args))
            self.engine.create(KEYS[0], ACCOUNTS[0], abi.artifact(contract).bytecode + words)
            assert abi.artifact(contract).same_code(self.engine.code(self.addresses[contract]))
        self._names = {address_bytes(address): name for name, address in self.addresses.items()}

    def wait(self, seconds: int) -> None:
        """Let time pass on both."""
        self.now += seconds
        self.engine.tick()
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
        on_evm = self.read_on_evm(contract, function, *args)
        self.env.number = self.engine.at
        try:
            on_model = getattr(self.models[contract], function)(*abi.typed(known.inputs, args))
        except Reverted as error:
            on_model = error.code
        assert on_evm == on_model, (contract, function, args)
        return on_evm

    def read_on_evm(self, contract: str, function: str, *args: Any) -> Any:
        """One view of the bytecode alone: the value, or the error's name."""
        known = abi.function(contract, function, view=True)
        raw = self.engine.view(self.addresses[contract], known.call_data(args))
        if raw.failed:
            return abi.error_name(raw.data)
        return abi.unwrap(known.outputs, abi.decode(known.output_types, raw.data))

    def would(self, sender: str, contract: str, function: str, *args: Any) -> str:
        """What a call by any address, such as the timelock's, is refused with; '' when it is not."""
        refused = self.would_on_evm(sender, contract, function, *args)
        inputs = abi.function(contract, function, view=False).inputs
        method = getattr(self.models[contract], function)
        try:
            self.env.attempt(lambda: method(sender, *abi.typed(inputs, args)))
        except Reverted as error:
            assert error.code == refused, (contract, function, args)
        else:
            assert not refused, (refused, contract, function, args)
        while self.env.undo:
            self.env.undo.pop()()
        self.env.commit()
        return refused

    def would_on_evm(self, sender: str, contract: str, function: str, *args: Any) -> str:
        """``would`` of the bytecode alone, for functions that the models leave out; needs the box."""
        assert isinstance(self.engine, Box)
        data = abi.function(contract, function, view=False).call_data(args)
        done = self.engine.attempt(sender, self.addresses[contract], data)
        return abi.error_name(done.data) if done.failed else ""

    def _clock(self) -> int:
        return self.now

    def _model(self, who: int, contract: str, function: str, args: Any) -> Outcome:
        inputs = abi.function(contract, function, view=False).inputs
        values = (ACCOUNTS[who], *abi.typed(inputs, args))
        method = getattr(self.models[contract], function)
        self.env.number = self.engine.at
        try:
            self.env.attempt(lambda: method(*values))
        except Reverted as error:
            return Outcome(error=error.code)
        logs = self.env.commit()
        return Outcome(tuple((log.contract, log.name, log.args) for log in logs))

    def _evm(self, who: int, contract: str, function: str, args: Any) -> Outcome:
        data = abi.function(contract, function, view=False).call_data(args)
        done = self.engine.send(KEYS[who], ACCOUNTS[who], self.addresses[contract], data)
        if done.failed:
            return Outcome(error=abi.error_name(done.data))
        return Outcome(tuple(self._event(*log) for log in done.logs), gas=done.gas)

    def _event(self, at: bytes, topics: tuple[bytes, ...], data: bytes) -> Event:
        kind = abi.events(self._names[at])[topics[0]]
        return self._names[at], kind.name, abi.decode_log(kind, topics, data)
