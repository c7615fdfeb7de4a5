"""SIGKILL of any one node at any stage of the demo, in virtual time: the network finishes, or says why not.

Slow (about ten CPU-minutes): ``make test ARGS="-m slow tests/simnet/test_any_kill.py"``. Real processes
are killed by ``tests/process/test_demo.py``.
"""

import random
from dataclasses import replace

import pytest

from protocol.errors import OpenLedgerError
from simnet.scenario import STAGES, Fault, load_scenario
from simnet.simulation import simulate

DEMO = load_scenario("demo")
SEED = 11
# Virtual seconds that a stage takes, or nearly.
LONGEST = {"data": 7.0, "job": 60.0, "answer": 20.0}

# Who has to be there: the runner asks through the builder, and only the host answers. A shard whose
# owner dies before it is revealed and held is in no job, which the runner waits for.
ALWAYS = frozenset({"builder", "host"})
NEEDED = dict.fromkeys(STAGES, ALWAYS)
NEEDED["data"] = ALWAYS | {node.name for node in DEMO.nodes if node.shard}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", [node.name for node in DEMO.nodes])
def test_the_network_finishes_without_any_one_node(name: str, stage: str) -> None:
    after = random.Random(f"{name}/{stage}/{SEED}").uniform(0.0, LONGEST[stage])
    killed = replace(DEMO, faults=(Fault(name, stage, "kill", after),))
    try:
        ended = simulate(killed, SEED)
    except (OpenLedgerError, TimeoutError) as error:
        assert name in NEEDED[stage], f"killed after {after:.0f} s: {error}"
        assert len(str(error)) > 20  # it says why
        return
    assert ended.exact
    assert set(ended.slashed) <= {cheat.name for cheat in DEMO.cheats}
    assert ended.outcome.dead == (name,)
    assert ended.outcome.epochs >= 2
