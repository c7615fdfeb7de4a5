"""The chain in a box over a long run: ``python -m tests.bench.devchain``.

Milliseconds of CPU for a transaction, a call and a range of logs, after every 500 empty blocks: the
figures must not grow with the chain.
"""

import sys
import time
from collections.abc import Callable

from protocol.ids import address_bytes
from settlement import abi
from settlement.devjson import Call
from tests.settlement.engines import Box
from tests.settlement.pair import Pair

ROUNDS, BLOCKS, REPEAT = 5, 500, 20


def main() -> None:
    """Print the table."""
    pair = Pair(box=True)
    assert isinstance(pair.engine, Box)
    data = abi.function("CommitLog", "commit", view=False).call_data([bytes(32)] * 3)
    call = Call(bytes(20), address_bytes(pair.addresses["CommitLog"]), 0, data, 0)
    box = pair.engine.chain
    sys.stdout.write(f"{'blocks':>8}{'write ms':>10}{'call ms':>10}{'logs ms':>10}\n")
    for _ in range(ROUNDS):
        write = cost(lambda: pair.write(1, "CommitLog", "commit", *[bytes(32)] * 3))
        read = cost(lambda: box.call(call, box.head()))
        logs = cost(lambda: box.logs(max(0, box.head() - 100), box.head()))
        sys.stdout.write(f"{box.head():8}{write:10.2f}{read:10.2f}{logs:10.3f}\n")
        for _ in range(BLOCKS):
            pair.wait(1)


def cost(act: Callable[[], object]) -> float:
    """Mean CPU milliseconds of one."""
    begin = time.process_time()
    for _ in range(REPEAT):
        act()
    return (time.process_time() - begin) * 1_000 / REPEAT


if __name__ == "__main__":
    main()
