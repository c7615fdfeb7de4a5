"""Model of ``GOpen``: wrapped coins whose votes follow delegation and are counted at a past second."""

from settlement.models.ledger import ZERO_ADDRESS, Env, Slot, Table, revert
from settlement.models.token import Erc20, OpenToken

Checkpoints = tuple[tuple[int, int], ...]  # (second, amount from then on)


class GOpen(Erc20):
    """gOPEN."""

    NAME = "GOpen"
    COIN = "gOPEN"

    def __init__(self, env: Env, address: str, token: OpenToken) -> None:
        super().__init__(env, address)
        self._token = token
        self._delegates: Table[str, str] = Table(env, ZERO_ADDRESS)
        self._votes: Table[str, Checkpoints] = Table(env, ())
        self._supplies: Slot[Checkpoints] = Slot(env, ())

    def depositFor(self, sender: str, account: str, value: int) -> bool:
        if account == self.address:
            raise revert("ERC20InvalidReceiver", account)
        self._token.transferFrom(self.address, sender, self.address, value)
        if account == ZERO_ADDRESS:
            raise revert("ERC20InvalidReceiver", account)
        self._update(ZERO_ADDRESS, account, value)
        return True

    def withdrawTo(self, sender: str, account: str, value: int) -> bool:
        if account == self.address:
            raise revert("ERC20InvalidReceiver", account)
        self._update(sender, ZERO_ADDRESS, value)
        self._token.transfer(self.address, account, value)
        return True

    def delegate(self, sender: str, delegatee: str) -> None:
        before = self._delegates[sender]
        self._delegates[sender] = delegatee
        told = {"delegator": sender, "fromDelegate": before, "toDelegate": delegatee}
        self.emit("DelegateChanged", told)
        self._move(before, delegatee, self.balanceOf(sender))

    def underlying(self) -> str:
        return self._token.address

    def clock(self) -> int:
        return self.env.now

    def CLOCK_MODE(self) -> str:
        return "mode=timestamp"

    def delegates(self, account: str) -> str:
        return self._delegates[account]

    def getVotes(self, account: str) -> int:
        return _latest(self._votes[account])

    def getPastVotes(self, account: str, timepoint: int) -> int:
        return self._past(self._votes[account], timepoint)

    def getPastTotalSupply(self, timepoint: int) -> int:
        return self._past(self._supplies.value, timepoint)

    def numCheckpoints(self, account: str) -> int:
        return len(self._votes[account])

    def _past(self, trace: Checkpoints, timepoint: int) -> int:
        if timepoint >= self.env.now:
            raise revert("ERC5805FutureLookup", timepoint, self.env.now)
        return _latest(tuple(point for point in trace if point[0] <= timepoint))

    def _update(self, source: str, to: str, value: int) -> None:
        super()._update(source, to, value)
        change = value * (source == ZERO_ADDRESS) - value * (to == ZERO_ADDRESS)
        if ZERO_ADDRESS in (source, to):
            self._supplies.value = self._pushed(self._supplies.value, change)
        self._move(self._delegates[source], self._delegates[to], value)

    def _move(self, source: str, to: str, amount: int) -> None:
        if source != to and amount:
            self._shift(source, -amount)
            self._shift(to, amount)

    def _shift(self, delegate: str, change: int) -> None:
        if delegate == ZERO_ADDRESS:
            return
        before = self.getVotes(delegate)
        self._votes[delegate] = self._pushed(self._votes[delegate], change)
        told = {"delegate": delegate, "previousVotes": before, "newVotes": before + change}
        self.emit("DelegateVotesChanged", told)

    def _pushed(self, trace: Checkpoints, change: int) -> Checkpoints:
        """One checkpoint a second: a second one of the same second replaces the first."""
        kept = trace[:-1] if trace and trace[-1][0] == self.env.now else trace
        return (*kept, (self.env.now, _latest(trace) + change))


def _latest(trace: Checkpoints) -> int:
    return trace[-1][1] if trace else 0
