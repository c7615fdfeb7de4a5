"""The busy hour: 50 nodes, 20 jobs, 500 units, 2,000 records, 200 paid answers, a fifth cheats, a tenth ends.

    python -m tests.bench.busy [SEED]

Plays it whole under all checkers, prints what happened and the CPU seconds that it took, and exits with 1
when a checker found something or a figure was not reached.
"""

import sys
import time

from simnet.draw_plan import draw_plan
from simnet.hunt import Failure, attempt

WANTED = {"nodes": 50, "jobs": 20, "anchored": 500, "records": 2_000, "answers": 200}


def main(seed: int) -> int:
    plan = draw_plan("busy", seed, 50, 1.0)
    before = time.process_time()
    ended = attempt(plan)
    spent = time.process_time() - before
    out = sys.stdout.write
    if isinstance(ended, Failure):
        out(f"broken: {ended.text}\n")
        return 1
    for name, least in WANTED.items():
        out(f"{name:10}{ended.counts[name]:>8,}   wanted {least:,}\n")
    out(f"{ended.virtual_seconds:,.0f} virtual seconds, {spent:.1f} CPU seconds, ")
    out(f"trace {ended.trace.hex()[:16]}\n")
    return 0 if all(ended.counts[name] >= least for name, least in WANTED.items()) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
