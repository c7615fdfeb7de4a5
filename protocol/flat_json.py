"""JSON from strangers, bounded in depth before the parser sees it.

The parser of the standard library recurses on the C stack; where a library has raised Python's
recursion limit (py-evm does), a few thousand brackets would end the process instead of raising.
"""

import json
import re
from collections.abc import Callable
from typing import Any

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_BRACKET = re.compile(r"[\[\]{}]")


def loads(
    text: str, depth: int, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of ``text``. Raises ValueError for anything that is not JSON or nests deeper.

    ``pairs`` builds an object from its members, as json's ``object_pairs_hook``.
    """
    level = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        level += 1 if bracket in "[{" else -1
        if level > depth:
            raise ValueError(f"nested deeper than {depth}")
    return json.loads(text, object_pairs_hook=pairs)
