"""Live progress and the printed report. A terminal gets a live line, a pipe gets plain lines."""

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table

from protocol.params import OPEN

Json = dict[str, Any]
QUIET_S = 3.0  # never silent for longer


class Progress:
    """One line a stage; between them the latest of what the nodes say."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = time.monotonic()
        self._stage = ""
        self._text = ""
        self._said = 0.0
        self._detail = ""
        self._status: Status | None = None

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self._status = self.console.status("starting")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def stage(self, name: str, text: str) -> None:
        """A new stage, or news of the running one."""
        if (name, text) == (self._stage, self._text):
            return
        self._stage, self._text = name, text
        self._line(f"[bold]{name:<8}[/bold] {text}")

    def tick(self, detail: str = "") -> None:
        """The latest detail; said aloud when nothing was for some seconds."""
        now = time.monotonic()
        if detail:
            self._detail = detail
        shown = f"{self._stage}: {self._detail or self._text}"
        if self._status:
            self._status.update(f"{self._clock()} {shown}")
        elif now - self._said >= QUIET_S:
            self._line(f"         {self._detail or self._text}")

    def warn(self, text: str) -> None:
        self._line(f"[yellow]         {text}[/yellow]")

    def _clock(self) -> str:
        return f"{time.monotonic() - self._started:6.1f} s"

    def _line(self, text: str) -> None:
        self._said = time.monotonic()
        self.console.print(f"[dim]{self._clock()}[/dim] {text}", highlight=False)


def money(units: int | str) -> str:
    """Smallest units as OPEN."""
    return f"{int(units) / OPEN:,.4f}"


def table(title: str, columns: str, rows: Sequence[Sequence[object]]) -> Table:
    """A plain table; ``columns`` are separated by ``|``, those that end in ``#`` hold numbers."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for column in columns.split("|"):
        made.add_column(column.rstrip("#"), justify="right" if column.endswith("#") else "left")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made


def print_report(console: Console, report: Json) -> None:
    """Everything in the report, for people."""
    for part in (_people, _rounds, _verification, _chain, _answer, _budget, _evidence):
        part(console, report)


def _people(console: Console, report: Json) -> None:
    rows = [
        (
            c["name"],
            c["datanet"],
            c["records"],
            f"{c['yielded_ppm'] / 1e4:.1f} %",
            c["influence"],
            f"{c['share_percent']:.1f} %",
            money(c["earned"]),
            money(c["claimed"]),
            money(c["balance_before"]),
            money(c["balance_after"]),
        )
        for c in report["contributors"]
    ]
    columns = (
        "contributor|Datanet|records#|yielded#|influence#|share#|earned#|claimed#|before#|after#"
    )
    console.print(table("Contributors (OPEN)", columns, rows))
    work = [(w["name"], w["role"], money(w["earned"]), w["reason"]) for w in report["work"]]
    console.print(table("Work (OPEN)", "who|role|earned#|why", work))


def _rounds(console: Console, report: Json) -> None:
    rows = []
    for entry in report["losses"]:
        steps = " -> ".join(f"{value / 1e6:.3f}" for value in entry["by_round_micro"])
        rows.append((entry["datanet"], steps))
    console.print(
        table("Held-out loss (nats a token), start and after each round", "Datanet|loss", rows)
    )
    units = [
        (r["round"], u["worker"], u["state"], u["steps"], u["tokens"], u["bytes"], u["reason"])
        for r in report["rounds"]
        for u in r["units"]
    ]
    columns = "round#|worker|state|steps#|tokens#|bytes#|why"
    console.print(table("Federated rounds", columns, units))


def _verification(console: Console, report: Json) -> None:
    rows = [
        (
            v["kind"],
            v["worker"],
            v["step"],
            v["verifier"],
            v["finding"],
            f"{v['distance_ppb'] / 1e9:.2e}",
            f"{v['tolerance_ppb'] / 1e9:.0e}",
            f"{v['optimiser_ppb'] / 1e9:.2e}",
            f"{v['optimiser_tolerance_ppb'] / 1e9:.0e}",
        )
        for v in report["verification"]["findings"]
    ]
    columns = "kind|worker|step#|verifier|finding|distance#|tolerance#|optimiser's norm#|tolerance#"
    console.print(table("Verification: drawn samples, re-computed", columns, rows))
    for s in report["verification"]["slashes"]:
        console.print(
            f"[red]{s['name']}[/red] was caught: lost {money(s['amount'])} OPEN of stake "
            f"({money(s['stake_before'])} -> {money(s['stake_after'])}), tx {s['tx']}"
        )


def _chain(console: Console, report: Json) -> None:
    chain = report["chain"]
    console.print(table("Contracts", "name|address", sorted(chain["contracts"].items())))
    rows = [
        (
            e["epoch"],
            e["root"][:16],
            money(e["total"]),
            e["leaves"],
            ", ".join(e["signers"]),
            e["gas"],
            e["tx"],
        )
        for e in chain["epochs"]
    ]
    columns = "epoch#|root|total OPEN#|leaves#|signers|gas#|transaction"
    console.print(table(f"Epochs (escrow {money(chain['escrow'])} OPEN)", columns, rows))
    claims = [(c["name"], money(c["amount"]), c["gas"], c["tx"]) for c in chain["claims"]]
    console.print(table("Claims", "owner|OPEN#|gas#|transaction", claims))


def _answer(console: Console, report: Json) -> None:
    a = report["answer"]
    text = f"[bold]prompt[/bold]   {a['prompt']}\n[bold]adapter[/bold]  {a['text']}\n"
    text += f"[bold]base[/bold]     {a['base_text']}"
    console.print(Panel(text, title="One paid answer", title_align="left"))
    rows = [(r["owner_name"], r["datanet"], r["score"], r["text"][:70]) for r in a["records"]]
    console.print(table("Records that moved it", "owner|Datanet|score#|text", rows))
    spans = "; ".join(f"{s['text']!r} ({s['owner_name']})" for s in a["spans"])
    console.print(f"verbatim spans: {spans or 'none of eight words or more'}")
    split = ", ".join(f"{name} {money(part)}" for name, part in a["split"].items())
    console.print(f"voucher on channel {a['channel'][:16]}: fee {money(a['fee'])} OPEN = {split}")
    paid = [(s["name"], s["role"], s["amount"], s["reason"]) for s in a["shares"]]
    console.print(table("The contributors' part (smallest units)", "who|role|amount#|why", paid))


def _budget(console: Console, report: Json) -> None:
    b = report["budget"]
    rows = [
        ("CPU seconds", f"{b['cpu_seconds']:.0f}", b["cpu_seconds_budget"]),
        (
            "peak memory (PSS, GB)",
            f"{b['peak_pss_bytes'] / 1e9:.2f}",
            b["peak_pss_bytes_budget"] / 1e9,
        ),
        ("wall seconds", f"{b['wall_seconds']:.0f}", b["wall_seconds_budget"]),
    ]
    console.print(table("Cost of this run", "what|used#|budget#", rows))
    differs = [(k, here, there) for k, (here, there) in report["preset_differences"].items()]
    console.print(
        table("Where this preset differs from mainnet", "parameter|here#|mainnet#", differs)
    )


def _evidence(console: Console, report: Json) -> None:
    rows = [
        ("[green]ok[/green]" if c["ok"] else "[red]FAILED[/red]", c["name"], c["detail"])
        for c in report["checks"]
    ]
    console.print(table("Evidence checked", "|what|detail", rows))
