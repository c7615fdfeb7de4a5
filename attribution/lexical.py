"""BM25, the lexical baseline that influence has to beat (Robertson and Zaragoza 2009)."""

import math
import re
from collections import Counter
from collections.abc import Sequence

K1 = 1.2
B = 0.75

_WORD = re.compile(r"\w+")


def bm25(query: str, texts: Sequence[str]) -> tuple[float, ...]:
    """Score of each text for the query; 0 where no word is shared."""
    documents = [Counter(_words(text)) for text in texts]
    lengths = [document.total() for document in documents]
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))
    rarity = {word: _rarity(word, documents) for word in set(_words(query))}
    return tuple(
        sum(
            weight * document[word] * (K1 + 1) / (document[word] + K1 * (1 - B + B * length / mean))
            for word, weight in rarity.items()
        )
        for document, length in zip(documents, lengths, strict=True)
    )


def _rarity(word: str, documents: Sequence[Counter[str]]) -> float:
    holders = sum(word in document for document in documents)
    return math.log(1 + (len(documents) - holders + 0.5) / (holders + 0.5))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
