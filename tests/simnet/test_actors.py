"""Actors by name or from outside; the lazy one changes what it trains and nothing else."""

import pytest

from datanet.blobs import MemoryBlobs
from datanet.record import Record, RecordList
from lora.recipe import Recipe
from protocol.codec import pack
from protocol.compute import AdapterMade, Describe, NewAdapter, Train, Trained
from protocol.errors import OperatorError
from simnet.actors import ACTORS, actor, lazy
from simnet.learner import IntegerLearner
from tests.simnet import rogues

BASE = "integer:tiny"
HYPER = Recipe.from_table({"steps": 4, "batch": 2, "max_tokens": 32}).to_hyper()


async def trained(compute: object, blobs: MemoryBlobs) -> Trained:
    records = tuple(Record("", f"the king of the land number {n} said it") for n in range(8))
    made = await compute.run(NewAdapter(BASE, HYPER))  # type: ignore[attr-defined]
    assert isinstance(made, AdapterMade)
    batches = ((0, 1), (2, 3), (4, 5), (6, 7))
    request = Train(BASE, made.adapter, blobs.put(pack(RecordList(records))), batches, HYPER)
    done = await compute.run(request)  # type: ignore[attr-defined]
    assert isinstance(done, Trained)
    return done


async def test_the_lazy_worker_shows_full_work_but_did_one_step() -> None:
    blobs = MemoryBlobs()
    honest = await trained(IntegerLearner(blobs, None), blobs)
    idle = await trained(lazy(IntegerLearner(blobs, None), blobs), blobs)
    assert len(idle.states) == len(honest.states) == HYPER.steps + 1
    assert len(idle.losses_micro) == HYPER.steps
    assert idle.states[0] == honest.states[0]
    assert len({state.w for state in idle.states}) == 2
    assert len({state.w for state in honest.states}) == HYPER.steps + 1
    assert idle.adapter != honest.adapter


async def test_the_lazy_worker_is_honest_in_everything_else() -> None:
    blobs = MemoryBlobs()
    plain, idle = IntegerLearner(blobs, None), lazy(IntegerLearner(blobs, None), blobs)
    for request in (Describe(BASE), NewAdapter(BASE, HYPER)):
        assert await idle.run(request) == await plain.run(request)


def test_actors_go_by_name_or_come_from_outside_the_tree() -> None:
    assert actor("lazy") is ACTORS["lazy"]
    assert actor("tests.simnet.rogues:withhold") is rogues.withhold


@pytest.mark.parametrize("name", ["lasy", "no.such.module:lazy", "simnet.actors:nobody"])
def test_an_unknown_actor_is_named_with_what_to_do(name: str) -> None:
    with pytest.raises(OperatorError, match="unknown-actor") as error:
        actor(name)
    assert name.partition(":")[0] in str(error.value)
    assert error.value.remedy
