"""The payout rule: integer scores of records on queries -> integer shares that sum to the pot.

A record is judged by reserved queries of its own Datanet that others own and that its text does not
overlap; a query counts as far as it is original and as its owner's own records are worth something.
Worth = winsorised mean - threshold, positive part *per row*, never per identity, times what the row
keeps after precedence; then sums by owner. The threshold comes from what rows score on *other*
Datanets' queries, which no owner of this one wrote. docs/decisions/attribution.md has the
measurements behind every number.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attribution.threshold import PPM, noise, winsorised_mean
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
    deviations of noise that a row must exceed (1.645: one in twenty of pure noise does).

    ``proven_milli``: standard deviations that an owner's records must be worth on average for its
    queries to count in full; ``unproven_ppm``: what those of a worthless owner count."""

    cut_ppm: int = 200_000
    confidence_milli: int = 1_645
    proven_milli: int = 250
    unproven_ppm: int = 200_000


RULE = Rule()


def job_influence(
    rows: Sequence[Row],
    queries: Sequence[Query],
    scores: Scores,
    operators: Mapping[int, int] | None = None,
    rule: Rule = RULE,
) -> tuple[int, ...]:
    """Worth of each row in a job's pot, at least 0, before ``kept_ppm``.

    Judged twice: by queries that count alike, then by queries that count as their owners proved. A
    row's worth grows with its own scores; its owner's proof moves what others' rows are worth.
    ``operators``: owner -> operator, for owners known to be one (same payout or stake source); a
    row earns nothing from a query of its own operator. With one Datanet there is no noise to
    measure and the threshold is 0. Raises LocalError ``bad-scores`` when the shapes differ.
    """
    _check_shape(rows, queries, scores)
    parties = operators or {}
    alike = [query.kept_ppm for query in queries]
    home = _means(rows, queries, scores, parties, alike, True, rule.cut_ppm)
    away = _means(rows, queries, scores, parties, alike, False, 0)
    deviation = noise(away, [row.kept_ppm for row in rows])
    floor = deviation * rule.confidence_milli // MILLI
    first = [max(0, worth - floor) for worth in home]
    proofs = _proofs(rows, first, parties, deviation * rule.proven_milli // MILLI, rule)
    trusted = [
        query.kept_ppm * proofs.get(_side(query, parties), rule.unproven_ppm) for query in queries
    ]
    last = _means(rows, queries, scores, parties, trusted, True, rule.cut_ppm)
    return tuple(max(0, worth - floor) for worth in last)


def _side(of: Row | Query, operators: Mapping[int, int]) -> tuple[int, Hash]:
    """Who stands behind a row or a query, in which Datanet: worth in one proves nothing in another."""
    return operators.get(of.owner, of.owner), of.datanet


def _proofs(
    rows: Sequence[Row],
    influence: Sequence[int],
    operators: Mapping[int, int],
    enough: int,
    rule: Rule,
) -> dict[tuple[int, Hash], int]:
    """What a query of each side counts (ppm): its records' mean worth over ``enough``, within bounds."""
    worth: defaultdict[tuple[int, Hash], int] = defaultdict(int)
    kept: defaultdict[tuple[int, Hash], int] = defaultdict(int)
    for row, value in zip(rows, influence, strict=True):
        side = _side(row, operators)
        worth[side] += value * row.kept_ppm
        kept[side] += row.kept_ppm
    return {
        side: min(PPM, max(rule.unproven_ppm, total * PPM // max(1, kept[side] * enough)))
        for side, total in worth.items()
    }


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
    weights: Sequence[int],
    home: bool,
    cut_ppm: int,
) -> list[int]:
    """Each row's winsorised mean over queries of its own Datanet (``home``) or of all others."""
    means = []
    for i, row in enumerate(rows):
        operator = operators.get(row.owner, row.owner)
        counted = [
            (scores[q][i], weights[q])
            for q, query in enumerate(queries)
            if (query.datanet == row.datanet) == home
            and operators.get(query.owner, query.owner) != operator
            and i not in query.near
        ]
        values, counts = [score for score, _ in counted], [weight for _, weight in counted]
        means.append(winsorised_mean(values, counts, cut_ppm))
    return means
