"""The board's part about epochs: commits, voids, challenges and forced openings of the genesis pool."""

from dataclasses import replace
from typing import Any

from protocol.ids import address_bytes
from protocol.seams import Event
from tasks.entries import POOL, ClaimEntry, DemandEntry, EpochEntry, PotEntry

NEVER = 2**32 - 1  # of an epoch under challenge


class EpochFold:
    """Handlers of the pool's and the proofs' events; ``Board`` holds what they fold."""

    epochs: list[EpochEntry]
    commits: list[EpochEntry]
    voided: EpochEntry | None
    voids: int
    demands: dict[bytes, DemandEntry]
    ignored: dict[str, int]
    pots: dict[bytes, PotEntry]
    claims: list[ClaimEntry]
    _claimed: dict[int, int]
    _foreign: set[bytes]
    _drawing: dict[int, list[tuple[bytes, int]]]

    def claimed(self, index: int) -> int:
        """What an owner has claimed of all epochs, smallest units."""
        return self._claimed.get(index, 0)

    def _elsewhere(self, name: bytes, *parts: bytes) -> bool:
        """Whether a pot or unit lies in another pool, which nodes do not follow; so do its parts."""
        if name not in self._foreign:
            return False
        self._foreign.update(parts)
        self.ignored["other-pool"] += 1
        return True

    def _on_EpochCommitted(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] != POOL:
            self.ignored["other-pool"] += 1
            return
        drawn = tuple(self._drawing.pop(args["epoch"], ()))
        entry = EpochEntry(
            epoch=args["epoch"],
            root=args["root"],
            total=args["total"],
            leaves=args["leafCount"],
            evidence=args["evidence"],
            block=event.block,
            time=time,
            tx=event.tx,
            activates_at=args["activatesAt"],
            drawn=drawn,
        )
        self.epochs.append(entry)
        self.commits.append(entry)

    def _on_EpochFrozen(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] == POOL:
            self.epochs[-1] = replace(self.epochs[-1], activates_at=NEVER)

    def _on_EpochThawed(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] == POOL:
            self.epochs[-1] = replace(self.epochs[-1], activates_at=args["activatesAt"])

    def _on_EpochVoided(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] == POOL:
            self.voided = replace(self.epochs.pop(), time=time)
            self.voids += 1

    def _on_DrawsRestored(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] == POOL:
            self.voided = None

    def _on_OpeningDemanded(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] == POOL:
            self.demands[args["id"]] = DemandEntry(
                args["id"], args["epoch"], args["index"], args["deadline"]
            )

    def _on_OpeningAnswered(self, event: Event, time: int, args: dict[str, Any]) -> None:
        self.demands.pop(args["id"], None)

    def _on_OpeningClosed(self, event: Event, time: int, args: dict[str, Any]) -> None:
        self.demands.pop(args["id"], None)

    def _on_PotDrawn(self, event: Event, time: int, args: dict[str, Any]) -> None:
        pot = args["pot"]
        if self._elsewhere(pot):
            return
        self.pots[pot] = replace(self.pots[pot], drawn=args["epoch"])
        self._drawing[args["epoch"]].append((pot, args["amount"]))

    def _on_PotRestored(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if not self._elsewhere(args["pot"]):
            self.pots[args["pot"]] = replace(self.pots[args["pot"]], drawn=0)

    def _on_Claimed(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] != POOL:
            self.ignored["other-pool"] += 1
            return
        payout = address_bytes(args["payout"])
        self.claims.append(ClaimEntry(args["index"], args["amount"], payout, event.block, event.tx))
        self._claimed[args["index"]] += args["amount"]
