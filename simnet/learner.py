"""The Compute seam in integers: a real, tiny learner for the simulation (see ``learner_model``).

It trains, checks, merges, attributes and answers on true values, with 512 weights and no floats, so
that a scenario repeats bit by bit on any machine. Honest devices differ by seeded noise that lies
below every tolerance. Each request costs virtual time in proportion to the tokens it works on.
"""

from collections.abc import Callable
from typing import Any

import trio

from protocol.compute import (
    CheckRows,
    Describe,
    Generate,
    Gradient,
    InspectAdapter,
    Judge,
    Losses,
    Merge,
    NewAdapter,
    Request,
    Result,
    Rows,
    Score,
    ScoreAnswer,
    Train,
)
from protocol.seams import Blobs, Clock
from simnet import learner_scores, learner_train
from simnet.learner_bench import Bench

TOKENS_PER_SECOND = 1_000
NOISE_PPB = 2_000  # a device's error in each gradient element; torch in fp32: 3,900

HANDLERS: dict[type[Request], Callable[[Bench, Any], Result]] = {
    Describe: learner_train.describe,
    NewAdapter: learner_train.new_adapter,
    Train: learner_train.train,
    Gradient: learner_train.gradient,
    Judge: learner_train.judge,
    InspectAdapter: learner_train.inspect,
    Merge: learner_train.merge,
    Losses: learner_train.losses,
    Generate: learner_train.generate,
    Rows: learner_scores.rows,
    Score: learner_scores.score,
    CheckRows: learner_scores.check_rows,
    ScoreAnswer: learner_scores.score_answer,
}


class IntegerLearner:
    """Bases are ``integer:NAME``.

    Raises ComputeError: ``bad-model``, ``bad-input``, ``wrong-base``.
    """

    def __init__(
        self,
        blobs: Blobs,
        clock: Clock | None,
        noise_seed: bytes = b"",
        noise_ppb: int = NOISE_PPB,
    ) -> None:
        self._bench = Bench(blobs, noise_seed, noise_ppb)
        self._clock = clock
        self._device = trio.Lock()

    async def run(self, request: Request) -> Result:
        """One request at a time, as one device does."""
        async with self._device:
            result = HANDLERS[type(request)](self._bench, request)
            tokens = self._bench.take_tokens()
            if self._clock is not None:
                await self._clock.sleep(tokens / TOKENS_PER_SECOND)
        return result

    async def close(self) -> None:
        """Nothing is held."""
        await trio.lowlevel.checkpoint()
