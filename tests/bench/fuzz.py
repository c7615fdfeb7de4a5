"""Hostile streams against a node: ``python -m tests.bench.fuzz [--streams N]``.

Prints what was sent, what the victim counted under which reason, what honest peers got meanwhile,
and the victim's memory before and after. Exit code 1 when the victim or an honest request failed.
"""

import argparse
import logging
import sys
import time

import trio

from tests.p2p.siege import lay

STREAMS, SLOW = 10_000, 200


def main() -> None:
    """Lay the siege and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--slow", type=int, default=SLOW)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    begun = time.monotonic()
    siege = trio.run(lay, args.streams, args.slow, args.seed)
    for name, count in sorted(siege.sent.items()):
        sys.stdout.write(f"sent     {name:40}{count:8}\n")
    for code in sorted(siege.after):
        if grown := siege.after[code] - siege.before.get(code, 0):
            sys.stdout.write(f"counted  {code:40}{grown:8}\n")
    sys.stdout.write(f"honest   {'blobs fetched whole':40}{siege.honest:8}\n")
    sys.stdout.write(f"honest   {'failed':40}{len(siege.failed):8} {siege.failed[:3]}\n")
    sys.stdout.write(f"honest   {'dials':40}{siege.redials:8}\n")
    mib = [rss // 2**20 for rss in (siege.rss_before, siege.rss_after)]
    sys.stdout.write(f"memory   {'MiB before, after':40}{mib[0]:8}{mib[1]:8}\n")
    sys.stdout.write(f"seconds  {time.monotonic() - begun:48.0f}\n")
    sys.exit(bool(siege.failed))


if __name__ == "__main__":
    main()
