"""bfloat16 rows: the same bits as torch's, and nothing malformed gets in."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attribution.bfloat import from_bytes, part, to_bytes
from protocol.errors import DecodeError

FLOATS = st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20)


@given(FLOATS)
def test_rounding_is_torchs(values: list[float]) -> None:
    row = np.array(values, dtype=np.float32)
    expected = torch.from_numpy(row).to(torch.bfloat16)
    body = to_bytes(row)
    assert body == expected.view(torch.int16).numpy().tobytes()
    np.testing.assert_array_equal(from_bytes(body, len(row)), expected.float().numpy())


def test_a_part_is_a_slice() -> None:
    row = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(part(to_bytes(row), slice(3, 6)), [3, 4, 5])


@pytest.mark.parametrize("body", [b"", b"\x00" * 7, b"\x80\x7f" * 4, b"\xc0\x7f" * 4])
def test_malformed_rows_are_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match="bad-row"):
        from_bytes(body, 4)
