"""Model of ``Guardian``: one naming by governance, one short pause."""

from settlement.models.ledger import ZERO_ADDRESS, Env, Model, Slot, revert

MAX_PAUSE = 7 * 24 * 3600


class Guardian(Model):
    """Who may refuse new commits and channels for a while."""

    def __init__(self, env: Env, address: str, guardian: str) -> None:
        super().__init__(env, address)
        self._guardian = Slot(env, guardian)
        self._pauser = Slot(env, ZERO_ADDRESS)
        self._until = Slot(env, 0)
        self.emit("GuardianNamed", {"guardian": guardian})

    def nameGuardian(self, sender: str, next: str) -> None:
        self.only_timelock(sender)
        self._guardian.value = next
        self.emit("GuardianNamed", {"guardian": next})

    def pause(self, sender: str, duration: int) -> None:
        if sender != self._guardian.value:
            raise revert("NotGuardian", sender)
        if not 0 < duration <= MAX_PAUSE:
            raise revert("PauseTooLong", duration, MAX_PAUSE)
        self._guardian.value = ZERO_ADDRESS
        self._pauser.value = sender
        self._until.value = self.env.now + duration
        self.emit("Paused", {"guardian": sender, "until": self._until.value})

    def unpause(self, sender: str) -> None:
        if not self.paused():
            raise revert("NotPaused")
        if sender != self._pauser.value:
            self.only_timelock(sender)
        self._until.value = self.env.now
        self.emit("Unpaused", {"by": sender})

    def MAX_PAUSE(self) -> int:
        return MAX_PAUSE

    def guardian(self) -> str:
        return self._guardian.value

    def paused(self) -> bool:
        return self.env.now < self._until.value

    def pausedUntil(self) -> int:
        return self._until.value

    def only_timelock(self, sender: str) -> None:
        """Raises Reverted ``NotTimelock`` for anyone else."""
        raise NotImplementedError
