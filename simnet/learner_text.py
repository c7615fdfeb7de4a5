"""Text as training examples: which word follows which, against words drawn from noise.

Each word gives one true pair (previous, next) and ``NEGATIVES`` false ones. A pair has two
features: a bucket of the next word and a bucket of the pair. Everything follows from BLAKE3 of the
base's digest and the words, so that all nodes see the same examples.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from blake3 import blake3

from protocol.compute import RecordText

WORDS = 256
PAIRS = 256
PARAMETERS = WORDS + PAIRS
NEGATIVES = 4  # fewer make the rows of short records noisy

Features = tuple[int, int]  # indices into the weights
Word = bytes  # UTF-8, ASCII letters lower: Unicode tables differ between Python versions

_WORD = re.compile(rb"[a-z0-9'\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class Example:
    """One word of a text: the pair that is there, and pairs that are not."""

    true: Features
    false: tuple[Features, ...]


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
def examples(base: bytes, record: RecordText, max_tokens: int) -> tuple[Example, ...]:
    """One example a word of the completion, within the record's first ``max_tokens`` words."""
    prompt = words_of(record.prompt)
    words = (prompt + words_of(record.completion))[:max_tokens]
    noise = _noise(base, words)
    previous = [b"", *words]
    return tuple(
        Example(features(base, previous[at], words[at]), noise[at])
        for at in range(len(prompt), len(words))
    )


def _noise(base: bytes, words: list[Word]) -> list[tuple[Features, ...]]:
    """``NEGATIVES`` uniform feature pairs for each word."""
    stream = blake3(base + b"noise" + b"\x00".join(words)).digest(length=4 * NEGATIVES * len(words))
    draws = [int.from_bytes(stream[at : at + 2], "big") for at in range(0, len(stream), 2)]
    pairs = [(a % WORDS, WORDS + b % PAIRS) for a, b in zip(draws[::2], draws[1::2], strict=True)]
    return [tuple(pairs[at : at + NEGATIVES]) for at in range(0, len(pairs), NEGATIVES)]
