"""Bytes of a set reconciliation: ``python -m tests.bench.reconcile``.

Both ways, without the letters themselves. *ids*: what the missing ids alone take. *list*: what the
list of all ids takes, which ``/openledger/sync/1`` sends (in pages of 4,096).
"""

import random
import sys
import time

from p2p.reconcile import Search, answer
from protocol.codec import pack
from protocol.ids import content_id

SIZES, MISSING = (1_000, 10_000, 100_000), (0, 1, 10, 100, 1_000)
SALT = b"s" * 32


def main() -> None:
    """Print the table."""
    header = f"{'set':>8}{'missing':>9}{'rounds':>8}{'bytes':>10}{'ids':>9}{'list':>10}{'ms':>8}"
    sys.stdout.write(header + "\n")
    for size in SIZES:
        theirs = tuple(sorted(content_id(b"%d" % number) for number in range(size)))
        for missing in MISSING:
            lacking = set(random.Random(missing).sample(theirs, missing))
            ours = tuple(one for one in theirs if one not in lacking)
            rounds, sent, seconds = run(ours, theirs, lacking)
            sys.stdout.write(
                f"{size:8}{missing:9}{rounds:8}{sent:10}{32 * missing:9}{32 * size:10}"
                f"{seconds * 1_000:8.1f}\n"
            )


def run(
    ours: tuple[bytes, ...], theirs: tuple[bytes, ...], lacking: set[bytes]
) -> tuple[int, int, float]:
    """(rounds, bytes, seconds of both sides)."""
    begun, search, rounds, sent = time.perf_counter(), Search(ours, SALT), 0, 0
    while (probe := search.probe()) is not None:
        found = answer(theirs, probe)
        sent += len(pack(probe)) + len(pack(found))
        search.take(found)
        rounds += 1
    assert set(search.missing) == lacking
    return rounds, sent, time.perf_counter() - begun


if __name__ == "__main__":
    main()
