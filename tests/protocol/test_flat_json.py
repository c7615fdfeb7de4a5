"""Depth is bounded whatever Python's recursion limit is; strings hold what they like."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.flat_json import loads


@pytest.fixture
def high_limit() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '["\\"", ' + "[" * 200_000])
def test_deep_nesting_is_a_value_error(text: str, high_limit: None) -> None:
    with pytest.raises(ValueError, match="nested deeper than 3"):
        loads(text, 3)


@given(st.dictionaries(st.text(), st.text() | st.lists(st.integers())))
def test_what_is_flat_enough_is_read(value: dict[str, Any]) -> None:
    assert loads(json.dumps(value), 2) == value


@given(st.text())
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            loads(text, 2)
