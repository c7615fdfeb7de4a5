"""The payout rule: integer scores of records on queries -> integer shares that sum to the pot.

A record is judged by reserved queries of its own Datanet that others own and that its text does not
overlap; a query counts as far as it is original. Worth = winsorised mean - threshold, positive part
*per row*, never per identity, times what the row keeps after precedence; then sums by owner. The
threshold comes from what rows score on *other* Datanets' queries, which no owner of this one wrote.
docs/decisions/attribution.md has the measurements behind every number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attribution.threshold import noise, winsorised_mean
from protocol.credit import Row, Share
from protocol.errors import LocalError
from protocol.ids import Hash
from protocol.params import Params

MILLI = 1_000
BPS = 10_000

Scores = Sequence[Sequence[int]]
"""``scores[query][row]``, integers of one fixed scale."""


@dataclass(frozen=True, slots=True)
class Query:
    """A reserved record once opened. ``near``: positions of the rows whose text overlaps it."""

    owner: int
    datanet: Hash
    kept_ppm: int
    near: frozenset[int]


@dataclass(frozen=True, slots=True)
class Rule:
    """``cut_ppm``: weight of queries that cannot lift a row; ``confidence_milli``: standard
    deviations of noise that a row must exceed (1.645: one in twenty of pure noise does)."""

    cut_ppm: int = 200_000
    confidence_milli: int = 1_645


RULE = Rule()


def job_influence(
    rows: Sequence[Row],
    queries: Sequence[Query],
    scores: Scores,
    operators: Mapping[int, int] | None = None,
    rule: Rule = RULE,
) -> tuple[int, ...]:
    """Worth of each row in a job's pot, at least 0, before ``kept_ppm``.

    ``operators``: owner -> operator, for owners known to be one (same payout or stake source); a
    row earns nothing from a query of its own operator. With one Datanet there is no noise to
    measure and the threshold is 0. Raises LocalError ``bad-scores`` when the shapes differ.
    """
    _check_shape(rows, queries, scores)
    home = _means(rows, queries, scores, operators or {}, True, rule.cut_ppm)
    away = _means(rows, queries, scores, operators or {}, False, 0)
    floor = noise(away, [row.kept_ppm for row in rows]) * rule.confidence_milli // MILLI
    return tuple(max(0, worth - floor) for worth in home)


def answer_noise(rows: Sequence[Row], queries: Sequence[Query], scores: Scores) -> int:
    """What one row scores by chance on one query: the noise of all scores across Datanets."""
    _check_shape(rows, queries, scores)
    away = [
        (scores[q][i], row.kept_ppm)
        for q, query in enumerate(queries)
        for i, row in enumerate(rows)
        if row.datanet != query.datanet
    ]
    return noise([score for score, _ in away], [weight for _, weight in away])


def answer_influence(
    scores: Sequence[int], noise_of_one: int, rule: Rule = RULE
) -> tuple[int, ...]:
    """Worth of each row in one answer's pot: its score above the threshold, at least 0.

    ``noise_of_one`` is the job's ``answer_noise``: committed before the answer was asked.
    """
    floor = noise_of_one * rule.confidence_milli // MILLI
    return tuple(max(0, score - floor) for score in scores)


def owner_weights(rows: Sequence[Row], influence: Sequence[int]) -> dict[int, int]:
    """Worth x kept part, summed by owner; owners without worth are left out."""
    weights: dict[int, int] = {}
    for row, worth in zip(rows, influence, strict=True):
        if worth * row.kept_ppm:
            weights[row.owner] = weights.get(row.owner, 0) + worth * row.kept_ppm
    return weights


def divide(amount: int, weights: Mapping[int, int]) -> dict[int, int]:
    """``amount`` in proportion to the weights by largest remainder, ties to the lower owner index.

    Sums to ``amount`` exactly; empty when no weight is positive. Raises LocalError ``bad-weights``.
    """
    if amount < 0 or any(weight < 0 for weight in weights.values()):
        raise LocalError("bad-weights", "amounts and weights cannot be negative")
    total = sum(weights.values())
    if total == 0:
        return {}
    parts = {owner: amount * weight // total for owner, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda owner: (-(amount * weights[owner] % total), owner))
    for owner in by_remainder[: amount - sum(parts.values())]:
        parts[owner] += 1
    return parts


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of a pot and the weights by which owners divide it."""

    role: str
    amount: int
    weights: Mapping[int, int]
    reason: str


def split_pot(pot: int, parts: Sequence[Part], treasury: int) -> tuple[Share, ...]:
    """Shares that sum to ``pot``: the parts, and the remainder to the treasury.

    A part without weights falls to the treasury. Raises LocalError ``overdrawn``.
    """
    if sum(part.amount for part in parts) > pot:
        raise LocalError("overdrawn", f"the parts exceed the pot of {pot}")
    shares = [share for part in parts for share in _shares(part)]
    rest = pot - sum(share.amount for share in shares)
    if rest:
        shares.append(Share(treasury, "treasury", rest, "the remainder"))
    assert sum(share.amount for share in shares) == pot
    return tuple(shares)


@dataclass(frozen=True, slots=True)
class Work:
    """Verified work of one job, by owner index."""

    units: int
    tokens: Mapping[int, int]  # target tokens of verified units
    checks: Mapping[int, int]
    signers: Sequence[int]


def job_parts(
    pot: int,
    params: Params,
    unit_pay: int,
    contributors: Mapping[int, int],
    private: frozenset[int],
    work: Work,
    lineage: Mapping[int, int],
) -> tuple[Part, ...]:
    """The parts of a job's pot. ``contributors`` and ``lineage`` are weights by owner index.

    ``private`` owners together get at most ``private_cap_bps`` of the pot. Without any influence
    the contributors' part is paid by verified training tokens. Work is paid in the order workers,
    verifiers, aggregators from what contributors and lineage leave.
    """
    own = pot * params.contributors_bps // BPS
    credit = _contributor_parts(own, contributors, private, pot * params.private_cap_bps // BPS)
    if not contributors:
        credit = [Part("worker", own, work.tokens, "no influence above noise; verified tokens")]
    royalty = pot * params.model_owner_bps // BPS
    due = [
        ("worker", unit_pay * work.units, work.tokens, "verified tokens"),
        ("verifier", params.check_pay * sum(work.checks.values()), work.checks, "checks done"),
        (
            "aggregator",
            params.sign_pay * len(work.signers),
            dict.fromkeys(work.signers, 1),
            "signed epochs",
        ),
    ]
    parts = [*credit, Part("model-owner", royalty, lineage, "lineage")]
    left = pot - own - royalty
    for role, amount, weights, reason in due:
        parts.append(Part(role, min(amount, left), weights, reason))
        left -= min(amount, left)
    return tuple(parts)


def _contributor_parts(
    amount: int, weights: Mapping[int, int], private: frozenset[int], cap: int
) -> list[Part]:
    closed = {owner: weight for owner, weight in weights.items() if owner in private}
    open_ = {owner: weight for owner, weight in weights.items() if owner not in private}
    total = sum(weights.values())
    theirs = amount * sum(closed.values()) // total if total else 0
    if theirs <= cap:
        return [Part("contributor", amount, weights, "influence")]
    return [
        Part("contributor", cap, closed, "influence, capped for private data"),
        Part("contributor", amount - cap, open_, "influence"),
    ]


def _shares(part: Part) -> list[Share]:
    total = sum(part.weights.values())
    return [
        Share(owner, part.role, amount, f"{part.reason}: {part.weights[owner]} of {total}")
        for owner, amount in sorted(divide(part.amount, part.weights).items())
        if amount
    ]


def _check_shape(rows: Sequence[Row], queries: Sequence[Query], scores: Scores) -> None:
    if len(scores) != len(queries) or any(len(line) != len(rows) for line in scores):
        raise LocalError("bad-scores", f"not {len(queries)} queries by {len(rows)} rows")


def _means(
    rows: Sequence[Row],
    queries: Sequence[Query],
    scores: Scores,
    operators: Mapping[int, int],
    home: bool,
    cut_ppm: int,
) -> list[int]:
    """Each row's winsorised mean over queries of its own Datanet (``home``) or of all others."""
    means = []
    for i, row in enumerate(rows):
        operator = operators.get(row.owner, row.owner)
        counted = [
            (scores[q][i], query.kept_ppm)
            for q, query in enumerate(queries)
            if (query.datanet == row.datanet) == home
            and operators.get(query.owner, query.owner) != operator
            and i not in query.near
        ]
        values, weights = [score for score, _ in counted], [weight for _, weight in counted]
        means.append(winsorised_mean(values, weights, cut_ppm))
    return means
