"""A stage looks when what it waits for came, when the chain moved on, and now and then in any case."""

from collections import Counter

import trio

from node import runtime
from node.context import Context
from node.flow import Stage
from node.wakes import Alarm
from protocol.messages import BlobHint, EpochVote, JobSpec, NodeRecord
from simnet.seams import run_world
from tests.node import bare


def test_a_message_wakes_the_stages_that_look_for_it_and_the_chain_all() -> None:
    looked: Counter[str] = Counter()

    def stage(name: str, *hears: type) -> Stage:
        async def act(ctx: Context) -> None:
            looked[name] += 1

        return Stage(name, act, (), hears)

    async def main() -> None:
        ctx = bare.node("ann", ("ann",))
        alarms = {each: Alarm() for each in (stage("votes", EpochVote), stage("rest"))}

        async def after(*kinds: type | None) -> tuple[int, int]:
            before = Counter(looked)
            for kind in kinds:
                ctx.touch(kind)
            await ctx.seams.clock.sleep(1.0)
            return looked["votes"] - before["votes"], looked["rest"] - before["rest"]

        async with trio.open_nursery() as nursery:
            for each, alarm in alarms.items():
                nursery.start_soon(runtime._loop, ctx, each, alarm)
            nursery.start_soon(runtime._beat, ctx, alarms)
            assert await after() == (1, 1)  # at the start
            assert await after() == (0, 0)
            assert await after(EpochVote, EpochVote) == (1, 0)
            assert await after(NodeRecord, BlobHint) == (0, 0)  # other stages look for the one
            assert await after(JobSpec) == (1, 1)  # no stage alone looks for it
            assert await after(EpochVote, None) == (1, 1)  # the chain, say
            nursery.start_soon(runtime._tick, ctx)
            await ctx.seams.clock.sleep(1.0)
            before = Counter(looked)
            await ctx.seams.clock.sleep(3.5 * ctx.pace.tick)  # deadlines pass silently
            assert looked["rest"] - before["rest"] == looked["votes"] - before["votes"] == 3
            nursery.cancel_scope.cancel()

    run_world(main, seed=1)
