"""Text as training examples: which word follows which, against words drawn from noise.

Each word gives one true pair (previous, next) and ``NEGATIVES`` false ones. A pair has two
features: a bucket of the next word and a bucket of the pair. Everything follows from BLAKE3 of the
base's digest and the words, so that all nodes see the same examples.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from protocol.compute import RecordText

WORDS = 256
PAIRS = 256
PARAMETERS = WORDS + PAIRS
NEGATIVES = 4  # fewer make the rows of short records noisy

Features = tuple[int, int]  # indices into the weights
Word = bytes  # UTF-8, ASCII letters lower: Unicode tables differ between Python versions

_WORD = re.compile(rb"[a-z0-9'\x80-\xff]+")


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The words of a text, a line each: the pair that is there, then ``NEGATIVES`` pairs that are not.

    ``first`` and ``second`` are the indices of a pair's two weights. Told apart by identity: what
    follows from a text is remembered under it.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


def words_of(text: str) -> list[Word]:
    """The words; punctuation would make random characters look like text."""
    return _WORD.findall(text.encode().lower())


@lru_cache(maxsize=1 << 16)
def features(base: bytes, previous: Word, following: Word) -> Features:
    """Indices of the two weights that judge whether ``following`` follows ``previous``."""
    word = blake3(base + following).digest(length=4)
    pair = blake3(base + previous + b"\x00" + following).digest(length=4)
    return int.from_bytes(word, "big") % WORDS, WORDS + int.from_bytes(pair, "big") % PAIRS


@lru_cache(maxsize=1 << 12)
def examples(base: bytes, record: RecordText, max_tokens: int) -> Words:
    """One line a word of the completion, within the record's first ``max_tokens`` words."""
    prompt = words_of(record.prompt)
    words = (prompt + words_of(record.completion))[:max_tokens]
    previous, begin = [b"", *words], len(prompt)
    true = [features(base, previous[at], words[at]) for at in range(begin, len(words))]
    noise = _noise(base, words)[begin:]
    pairs = np.concatenate([np.array(true, dtype=np.int64).reshape(-1, 1, 2), noise], axis=1)
    return Words(pairs[:, :, 0], pairs[:, :, 1])


def _noise(base: bytes, words: list[Word]) -> npt.NDArray[np.int64]:
    """``NEGATIVES`` uniform feature pairs for each word."""
    stream = blake3(base + b"noise" + b"\x00".join(words)).digest(length=4 * NEGATIVES * len(words))
    draws = np.frombuffer(stream, dtype=">u2").astype(np.int64).reshape(-1, NEGATIVES, 2)
    return draws % (WORDS, PAIRS) + (0, WORDS)
