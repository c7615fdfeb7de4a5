"""Model of ``StakeHistory``: stake by epoch, and draws by it. Sums are taken in order, without a tree."""

from settlement.models.ledger import Env, Model, Slot, Table, revert

Trace = tuple[tuple[int, int], ...]  # (stake epoch, value from its end on), ascending


class StakeHistory(Model):
    """Bonded stake and jurors' weights, as they stood at the end of past epochs."""

    def __init__(self, env: Env, address: str, epoch_seconds: int) -> None:
        super().__init__(env, address)
        self._epoch_seconds = epoch_seconds
        self._traces: Table[str, Trace] = Table(env, ())
        self._weights: Table[str, Trace] = Table(env, ())
        self._enlisted: Table[str, bool] = Table(env, False)
        self._jurors: Slot[tuple[str, ...]] = Slot(env, ())

    def epochSeconds(self) -> int:
        return self._epoch_seconds

    def isJuror(self, operator: str) -> bool:
        return self._enlisted[operator]

    def jurorCount(self) -> int:
        return len(self._jurors.value)

    def stakeEpoch(self) -> int:
        return self.env.now // self._epoch_seconds

    def stakeAt(self, operator: str, epoch: int) -> int:
        return _value(self._traces[operator], epoch)

    def jurorStakeAt(self, epoch: int) -> int:
        return sum(_value(self._weights[juror], epoch) for juror in self._jurors.value)

    def jurorAt(self, epoch: int, point: int) -> tuple[str, int, int]:
        for juror in self._jurors.value:
            start, weight = self.jurorRange(epoch, juror)
            if start <= point < start + weight:
                return juror, start, weight
        raise revert("NoJuror", epoch, point)

    def jurorRange(self, epoch: int, operator: str) -> tuple[int, int]:
        start = 0
        for juror in self._jurors.value:
            weight = _value(self._weights[juror], epoch)
            if juror == operator:
                # the contract knows no place that came later
                return (start, weight) if self._weights[juror][0][0] <= epoch else (0, 0)
            start += weight
        return 0, 0

    def _record(self, operator: str, bonded: int) -> None:
        self._traces[operator] = self._after(self._traces[operator], bonded)
        if self._enlisted[operator]:
            self._weights[operator] = self._after(self._weights[operator], bonded)

    def _enlist(self, operator: str, enlisted: bool, bonded: int) -> None:
        self._enlisted[operator] = enlisted
        if operator not in self._jurors.value:
            self._jurors.value = (*self._jurors.value, operator)
        weight = bonded if enlisted else 0
        self._weights[operator] = self._after(self._weights[operator], weight)

    def _after(self, trace: Trace, value: int) -> Trace:
        epoch = self.stakeEpoch()
        older = trace[:-1] if trace and trace[-1][0] == epoch else trace
        return (*older, (epoch, value))


def _value(trace: Trace, epoch: int) -> int:
    return next((value for at, value in reversed(trace) if at <= epoch), 0)
