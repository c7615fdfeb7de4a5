"""``python -m node.cli``: the same as the console script."""

from node.cli import main

main()
