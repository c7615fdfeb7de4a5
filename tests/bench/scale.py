"""How what a node carries grows with the network: three simulated sizes, a line through each, its residuals.

    python -m tests.bench.scale            # 12, 24 and 48 nodes; about a minute of CPU

The work is the same at each size (one job of four units, two questions), so what grows is the network's
own. ``docs/scale.md`` extends the lines and says where they end.
"""

import math
import sys
from dataclasses import replace

from simnet.draw_plan import draw_plan
from simnet.play import play

SIZES = (12, 24, 48)
SEED = 1
FAR = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
WANTED = ("messages", "bytes", "transactions", "verdicts", "letters", "blob_bytes")


def measured(nodes: int) -> dict[str, float]:
    """What one network of a size did, a node each (verdicts: all together)."""
    plan = draw_plan("calm", SEED, nodes, 0.2)
    ended = play(replace(plan, postings=plan.postings[:1]))
    counts = ended.counts
    return {name: counts[name] if name == "verdicts" else counts[name] / nodes for name in WANTED}


def power(points: list[tuple[float, float]]) -> tuple[float, float, list[float]]:
    """(a, b, residuals in parts of the value) of y = a x^b by least squares of the logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(max(y, 1e-9)) for _, y in points]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    b = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - mx) ** 2 for x in xs
    )
    a = math.exp(my - b * mx)
    return a, b, [y / (a * x**b) - 1 for x, y in points]


def main() -> None:
    rows = {nodes: measured(nodes) for nodes in SIZES}
    out = sys.stdout.write
    out(f"{'a node':14}" + "".join(f"{n:>14} nodes" for n in SIZES) + "   fit\n")
    fits = {}
    for name in WANTED:
        points = [(float(n), rows[n][name]) for n in SIZES]
        a, b, off = power(points)
        fits[name] = (a, b)
        shown = "".join(f"{y:>20,.1f}" for _, y in points)
        residuals = ", ".join(f"{100 * r:+.0f} %" for r in off)
        out(f"{name:14}{shown}   {a:.3g} n^{b:.2f}  ({residuals})\n")
    out("\n" + f"{'extended to':14}" + "".join(f"{n:>14,}" for n in FAR) + "\n")
    for name, (a, b) in fits.items():
        out(f"{name:14}" + "".join(f"{a * n**b:>14,.0f}" for n in FAR) + "\n")


if __name__ == "__main__":
    main()
