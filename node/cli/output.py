"""How answers are printed: JSON for programs, rich tables for people."""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

UNIT = Decimal(10) ** 18


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_line(text: str) -> None:
    """One line; markup in foreign text is not interpreted."""
    from rich.console import Console

    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """A table, or the sentence that says why there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = [[Text("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not listed:
        print_line(empty)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in listed:
        table.add_row(*row)
    Console().print(table)


def money(units: str | int) -> str:
    """Smallest units as OPEN, exact, without trailing zeros."""
    return f"{(Decimal(units) / UNIT).normalize():f} OPEN"


def short(identifier: str) -> str:
    """An id or address for people."""
    return identifier if len(identifier) <= 14 else f"{identifier[:8]}…{identifier[-4:]}"


def percent(ppm: int) -> str:
    return f"{ppm / 10_000:.1f} %"
