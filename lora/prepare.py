"""``python -m lora.prepare SOURCE --cache DIR``: what the first load of a base does once, done beforehand."""

import argparse
import sys
from pathlib import Path

from lora.base import load_base
from protocol.errors import ComputeError


def main() -> None:
    """Load it. Exit status 1 with the reason when it cannot be loaded."""
    parser = argparse.ArgumentParser(prog="python -m lora.prepare", description=__doc__)
    parser.add_argument("source", help="a hub id, a folder, or package:NAME")
    parser.add_argument("--cache", type=Path, required=True, help="where converted bases are kept")
    given = parser.parse_args()
    try:
        load_base(given.source, given.cache)
    except ComputeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
