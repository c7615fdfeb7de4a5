"""Request-response frames: round trip, one form of a length, limits before memory."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2p.framing import READ_BYTES, FrameReader, accept, encode_frame, open_response, refuse
from protocol.errors import DecodeError, PeerError


class Pipe:
    """Gives bytes in pieces of ``step``, then the end of the stream."""

    def __init__(self, data: bytes, step: int = 1 << 20) -> None:
        self.data = data
        self.step = step

    async def read(self, size: int) -> bytes:
        part = self.data[: min(size, self.step)]
        self.data = self.data[len(part) :]
        return part


async def parse(data: bytes, limit: int = 1000, step: int = 1 << 20) -> bytes | None:
    return await FrameReader(Pipe(data, step).read).next(limit)


@given(body=st.binary(max_size=400), step=st.integers(1, 50))
def test_round_trip_in_pieces(body: bytes, step: int) -> None:
    assert trio.run(lambda: parse(encode_frame(body), step=step)) == body


@pytest.mark.parametrize(
    ("length", "prefix"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02")]
)
async def test_lengths_are_unsigned_varints(length: int, prefix: str) -> None:
    assert encode_frame(bytes(length)).hex().startswith(prefix)
    assert await parse(encode_frame(bytes(length))) == bytes(length)


@pytest.mark.parametrize("bad", ["8000", "ffffffffff01"])
async def test_broken_frames_are_refused(bad: str) -> None:
    with pytest.raises(DecodeError) as caught:
        await parse(bytes.fromhex(bad))
    assert caught.value.code == "bad-frame"


@pytest.mark.parametrize("cut", ["80", "05abcd"])
async def test_a_frame_that_a_cancelled_request_cut_short_is_not_called_a_bad_one(cut: str) -> None:
    with pytest.raises(PeerError) as caught:
        await parse(bytes.fromhex(cut))
    assert caught.value.code == "cut-short"


async def test_a_large_frame_is_refused_by_its_length_alone() -> None:
    pipe = Pipe(encode_frame(bytes(READ_BYTES + 1001)))
    with pytest.raises(PeerError) as caught:
        await FrameReader(pipe.read).next(READ_BYTES)
    assert caught.value.code == "too-large"
    assert len(pipe.data) > 1000  # no more was read than the one read that brought the length


@given(bodies=st.lists(st.binary(max_size=300), max_size=8), step=st.integers(1, 700))
def test_frames_follow_each_other_and_the_end_between_two_is_none(
    bodies: list[bytes], step: int
) -> None:
    async def all_of() -> list[bytes]:
        frames = FrameReader(Pipe(b"".join(map(encode_frame, bodies)), step).read)
        got = []
        while (body := await frames.next(1000)) is not None:
            got.append(body)
        return got

    assert trio.run(all_of) == bodies


def test_responses() -> None:
    assert open_response(accept(b"")) == b""
    assert open_response(accept(b"yes")) == b"yes"
    with pytest.raises(PeerError) as caught:
        open_response(refuse("no-blob"))
    assert (caught.value.code, caught.value.text) == ("refused", "no-blob")
    for junk in (b"", b"\x02", b"\x01" + bytes(65)):
        with pytest.raises(DecodeError):
            open_response(junk)
