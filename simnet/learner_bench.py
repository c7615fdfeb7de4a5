"""The integer learner's bench: blobs in and out, and noisy gradients, with the work counted.

Whatever a blob holds that it should not becomes a ComputeError ``bad-input`` here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from blake3 import blake3

from protocol.codec import Size, pack, unpack
from protocol.compute import Hyper, RecordList, RecordText
from protocol.errors import ComputeError, DecodeError, LocalError
from protocol.ids import Hash
from protocol.seams import Blobs
from simnet.learner_fixed import WORD, Vector, pack_vector, unpack_vector
from simnet.learner_model import clip, gradient, loss, with_noise
from simnet.learner_text import PARAMETERS, Words, examples

PREFIX = "integer:"
MICRO_TO_ONE = 1_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AdapterBody:
    """Canonical adapter: the base it belongs to, and its packed weights."""

    base: Hash
    w: Annotated[bytes, Size(WORD * PARAMETERS)]


def base_digest(base: str) -> bytes:
    """Digest of ``integer:NAME``. Raises ComputeError ``bad-model`` for any other name."""
    if not base.startswith(PREFIX):
        raise ComputeError("bad-model", f"{base!r} is no integer model; use {PREFIX}NAME.")
    return blake3(b"integer base " + base.encode()).digest()


class Bench:
    """One device: its blobs, its noise, and the tokens it worked on since last asked."""

    def __init__(self, blobs: Blobs, noise_seed: bytes, noise_ppb: int) -> None:
        self._blobs = blobs
        self._noise_seed = noise_seed
        self._noise_ppb = noise_ppb
        self._tokens = 0

    def count(self, tokens: int) -> None:
        """Note work done elsewhere."""
        self._tokens += tokens

    def take_tokens(self) -> int:
        """Tokens worked on since the last call."""
        tokens, self._tokens = self._tokens, 0
        return tokens

    def put(self, body: bytes) -> bytes:
        return self._blobs.put(body)

    def put_value(self, value: Any) -> bytes:
        return self._blobs.put(pack(value))

    def put_vector(self, vector: Vector) -> bytes:
        return self._blobs.put(pack_vector(vector))

    def value(self, cls: type[T], blob: bytes) -> T:
        """The canonical value in a blob."""
        try:
            return unpack(cls, self._body(blob))
        except DecodeError as error:
            raise ComputeError("bad-input", f"blob {blob.hex()}: {error}") from error

    def vector(self, blob: bytes) -> Vector:
        """A vector of all parameters."""
        body = self._body(blob)
        if len(body) != WORD * PARAMETERS:
            raise ComputeError(
                "bad-input",
                f"blob {blob.hex()} has {len(body)} bytes, a vector {WORD * PARAMETERS}.",
            )
        return unpack_vector(body)

    def adapter(self, blob: bytes) -> tuple[bytes, Vector]:
        """Base digest and weights."""
        body = self.value(AdapterBody, blob)
        return body.base, unpack_vector(body.w)

    def weights(self, base: bytes, blob: bytes) -> Vector:
        """Weights of an adapter of ``base``. Raises ComputeError ``wrong-base``."""
        belongs, w = self.adapter(blob)
        if belongs != base:
            raise ComputeError(
                "wrong-base", f"adapter {blob.hex()} belongs to base {belongs.hex()}."
            )
        return w

    def put_adapter(self, base: bytes, w: Vector) -> bytes:
        return self.put_value(AdapterBody(base, pack_vector(w)))

    def records(self, blob: bytes) -> tuple[RecordText, ...]:
        return self.value(RecordList, blob).records

    def pick(self, blob: bytes, indices: Sequence[int]) -> list[RecordText]:
        """Some records of a blob, by index."""
        records = self.records(blob)
        outside = [index for index in indices if not 0 <= index < len(records)]
        if outside or not indices:
            raise ComputeError("bad-input", f"indices {outside or '()'} of {len(records)} records.")
        return [records[index] for index in indices]

    def words(self, base: bytes, record: RecordText, max_tokens: int) -> Words:
        """A record's words; counted as work."""
        if max_tokens < 1:
            raise ComputeError("bad-input", f"max_tokens is {max_tokens}, at least 1 is needed.")
        found = examples(base, record, max_tokens)
        self._tokens += len(found)
        return found

    def batch_gradient(
        self, base: bytes, w: Vector, records: Sequence[RecordText], hyper: Hyper, *, exact: bool
    ) -> tuple[Vector, int, int]:
        """(clipped gradient, loss, tokens) of a batch, each token counting alike."""
        if hyper.clip_micro < 1:
            raise ComputeError(
                "bad-input", f"clip_micro is {hyper.clip_micro}, at least 1 is needed."
            )
        batch = tuple(self.words(base, record, hyper.max_tokens) for record in records)
        g = gradient(w, batch)
        if not exact:
            g = self._noisy(g)
        return clip(g, hyper.clip_micro * MICRO_TO_ONE), loss(w, batch), sum(map(len, batch))

    def row(self, base: bytes, w: Vector, record: RecordText, max_tokens: int) -> Vector:
        """One record's gradient."""
        return self._noisy(gradient(w, (self.words(base, record, max_tokens),)))

    def _noisy(self, g: Vector) -> Vector:
        """The device's own error: a function of its seed and the gradient, so reruns agree."""
        return with_noise(g, self._noise_ppb, self._noise_seed + pack_vector(g))

    def _body(self, blob: bytes) -> bytes:
        try:
            return self._blobs.get(blob)
        except LocalError as error:
            raise ComputeError("bad-input", f"blob {blob.hex()} is not here.") from error
