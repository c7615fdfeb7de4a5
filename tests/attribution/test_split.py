"""What the payout rule promises, over random worlds of two Datanets."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.split import (
    Part,
    Query,
    Work,
    answer_influence,
    answer_noise,
    divide,
    job_influence,
    job_parts,
    owner_weights,
    split_pot,
)
from protocol.credit import Row
from protocol.errors import LocalError
from protocol.params import OPEN, SIMNET

POT = 1_000 * OPEN
PPM = 1_000_000
NETS = (b"A" * 32, b"B" * 32)
TREASURY = 99


@dataclass(frozen=True)
class World:
    rows: tuple[Row, ...]
    queries: tuple[Query, ...]
    scores: tuple[tuple[int, ...], ...]

    def worth(self, operators: dict[int, int] | None = None) -> tuple[int, ...]:
        return job_influence(self.rows, self.queries, self.scores, operators)

    def pay(self, operators: dict[int, int] | None = None) -> dict[int, int]:
        return divide(POT, owner_weights(self.rows, self.worth(operators)))

    def scored(self, query: int, row: int, value: int) -> "World":
        lines = [list(line) for line in self.scores]
        lines[query][row] = value
        return replace(self, scores=tuple(map(tuple, lines)))


def row(owner: int, net: int, kept: int = PPM) -> Row:
    return Row(bytes(32), owner, NETS[net], kept, 64)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Owners 0 to 2 in Datanet A, 3 to 5 in B; 2 to 8 rows, 3 to 8 queries."""
    owners = st.integers(0, 5)
    rows = draw(
        st.lists(
            st.builds(lambda o, k: row(o, o // 3, k), owners, st.integers(0, PPM)),
            min_size=2,
            max_size=8,
        )
    )
    near = st.frozensets(st.integers(0, len(rows) - 1), max_size=2)
    queries = draw(
        st.lists(
            st.builds(
                lambda o, k, n: Query(o, NETS[o // 3], k, n), owners, st.integers(1, PPM), near
            ),
            min_size=3,
            max_size=8,
        )
    )
    line = st.tuples(*[st.integers(-(10**6), 10**6)] * len(rows))
    scores = draw(st.tuples(*[line] * len(queries)))
    return World(tuple(rows), tuple(queries), scores)


INDEX = st.integers(0, 7)


@given(worlds())
def test_shares_sum_to_the_pot_and_none_is_negative(world: World) -> None:
    pay = world.pay()
    assert sum(pay.values()) == (POT if pay else 0)
    assert all(amount >= 0 for amount in pay.values())


@given(worlds(), INDEX)
def test_a_row_without_worth_earns_nothing(world: World, which: int) -> None:
    i = which % len(world.rows)
    for q in range(len(world.queries)):
        world = world.scored(q, i, min(0, world.scores[q][i]))
    assert job_influence(world.rows, world.queries, world.scores)[i] == 0


@given(worlds())
def test_names_do_not_matter(world: World) -> None:
    other = {0: 2, 1: 0, 2: 1, 3: 4, 4: 5, 5: 3}
    renamed = replace(
        world,
        rows=tuple(replace(r, owner=other[r.owner]) for r in world.rows),
        queries=tuple(replace(q, owner=other[q.owner]) for q in world.queries),
    )
    pay, again = world.pay(), renamed.pay()
    assert all(abs(again[other[owner]] - amount) <= 1 for owner, amount in pay.items())


@given(worlds(), INDEX, INDEX, st.integers(0, 10**6))
def test_more_influence_never_makes_a_row_worth_less(
    world: World, row_: int, query: int, more: int
) -> None:
    i, q = row_ % len(world.rows), query % len(world.queries)
    if world.queries[q].datanet != world.rows[i].datanet:
        return  # a score on another Datanet's query is noise, not merit
    raised = world.scored(q, i, world.scores[q][i] + more)
    assert raised.worth()[i] >= world.worth()[i]


@given(worlds(), INDEX, INDEX, st.integers(0, 10**6))
def test_more_influence_never_pays_less_to_who_asks_nothing(
    world: World, row_: int, query: int, more: int
) -> None:
    """Only by its owner's queries, which it proves, a row moves what others' rows are worth."""
    i, q = row_ % len(world.rows), query % len(world.queries)
    owner = world.rows[i].owner
    if world.queries[q].datanet != world.rows[i].datanet:
        return
    mute = (replace(x, kept_ppm=0 if x.owner == owner else x.kept_ppm) for x in world.queries)
    world = replace(world, queries=tuple(mute))
    raised = world.scored(q, i, world.scores[q][i] + more)
    assert raised.pay().get(owner, 0) >= world.pay().get(owner, 0) - 1


@given(worlds(), INDEX, st.integers(-(10**9), 10**9))
def test_own_and_overlapping_queries_earn_nothing(world: World, row_: int, value: int) -> None:
    i = row_ % len(world.rows)
    changed = world
    for q, query in enumerate(world.queries):
        own = query.owner == world.rows[i].owner
        if query.datanet == world.rows[i].datanet and (own or i in query.near):
            changed = changed.scored(q, i, value)
    assert changed.pay() == world.pay()


@given(worlds(), st.lists(st.integers(6, 9), min_size=8, max_size=8))
def test_identities_of_one_operator_gain_nothing(world: World, names: list[int]) -> None:
    operators = dict.fromkeys((0, 6, 7, 8, 9), 0)
    split = replace(
        world,
        rows=tuple(
            replace(r, owner=name) if r.owner == 0 else r
            for r, name in zip(world.rows, names, strict=False)
        ),
    )
    one = world.pay(operators).get(0, 0)
    many = sum(amount for owner, amount in split.pay(operators).items() if owner in operators)
    assert abs(many - one) <= len(operators)


@given(worlds(), INDEX, st.integers(0, PPM))
def test_sharing_a_row_with_its_duplicate_gains_nothing(
    world: World, which: int, part: int
) -> None:
    i = which % len(world.rows)
    kept = world.rows[i].kept_ppm
    first = min(part, kept)
    twin = replace(world.rows[i], owner=world.rows[i].owner, kept_ppm=kept - first)
    rows = [*world.rows, twin]
    rows[i] = replace(rows[i], kept_ppm=first)
    near = [q.near | {len(rows) - 1} if i in q.near else q.near for q in world.queries]
    doubled = World(
        tuple(rows),
        tuple(replace(q, near=n) for q, n in zip(world.queries, near, strict=True)),
        tuple((*line, line[i]) for line in world.scores),
    )
    assert doubled.pay() == world.pay()


@given(worlds(), INDEX, st.integers(0, PPM))
def test_the_earlier_of_two_equal_rows_earns_at_least_as_much(
    world: World, which: int, kept: int
) -> None:
    i = which % len(world.rows)
    first, later = (
        replace(world.rows[i], owner=10, kept_ppm=PPM),
        replace(world.rows[i], owner=11, kept_ppm=kept),
    )
    pair = World(
        (*world.rows, first, later), world.queries, tuple((*x, x[i], x[i]) for x in world.scores)
    )
    pay = pair.pay()
    assert pay.get(10, 0) + 1 >= pay.get(11, 0)


def test_queries_of_a_minority_cannot_pay_a_row_that_the_rest_refuses() -> None:
    """Junk that only helps junk: four honest queries refuse it, one accomplice's embraces it."""
    rows = (row(0, 0), row(1, 0))
    queries = tuple(Query(owner, NETS[0], PPM, frozenset()) for owner in (2, 2, 2, 2, 5))
    scores = ((50, -1), (60, -1), (40, -1), (70, -1), (-9, 10**9))
    assert World(rows, queries, scores).pay() == {0: POT}


def test_who_teaches_nothing_asks_little() -> None:
    """Two thirds of what a row is asked is owner 2's noise; counted alike, it were worth 300."""
    rows = (row(0, 0), row(1, 0), row(2, 0), row(3, 1))
    owners = (0, 0, 0, 0, 1, 1, 1, 1, *[2] * 8)
    queries = tuple(Query(owner, NETS[0], PPM, frozenset()) for owner in owners)
    away = Query(4, NETS[1], PPM, frozenset())
    helped = {0: (0, 900, 0, 0), 1: (900, 0, 0, 0), 2: (0, 0, 0, 0)}
    scores = (*(helped[owner] for owner in owners), (1, -1, 1, 0))
    worth = World(rows, (*queries, away), scores).worth()
    assert worth[0] == worth[1] == 900 * 4 * 5 // (4 * 5 + 8) - 1
    assert worth[2] == 0


def test_worth_in_one_datanet_proves_nothing_in_another() -> None:
    rows = (row(0, 0), row(1, 0), row(5, 0), row(3, 1), row(4, 1), row(5, 1))
    home = tuple(Query(owner, NETS[0], PPM, frozenset()) for owner in (0, 1, 5))
    other = tuple(Query(owner, NETS[1], PPM, frozenset()) for owner in (3, 4, 5))
    # (query, row): owner 5 helps in the second Datanet only
    helps = {(0, 1), (1, 0), (3, 4), (4, 3), (3, 5), (4, 5)}
    table = tuple(tuple(900 if (q, r) in helps else 1 for r in range(6)) for q in range(6))
    worth = World(rows, (*home, *other), table).worth()
    assert worth[0] == worth[1] > worth[3] == worth[4]  # there 5's queries count in full


def test_the_threshold_comes_from_other_datanets() -> None:
    """Rows score +-100 on queries of the other Datanet: 250 is worth little."""
    rows = (row(0, 0), row(1, 0), row(3, 1))
    queries = (Query(2, NETS[0], PPM, frozenset()), Query(4, NETS[1], PPM, frozenset()))
    scores = ((250, 90, 100), (100, -100, 1_000))
    assert job_influence(rows, queries, scores) == (250 - 243, 0, 1_000 - 243)


def test_one_answer_is_paid_above_the_noise_of_one_query() -> None:
    rows, queries = (row(0, 0), row(3, 1)), (Query(2, NETS[0], PPM, frozenset()),)
    noise = answer_noise(rows, queries, ((5_000, 100),))
    assert noise == 148
    assert answer_influence((1_000, 200, -50), noise) == (1_000 - 243, 0, 0)


def test_scores_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(LocalError, match="bad-scores"):
        job_influence((row(0, 0),), (), ((1,),))


@given(st.integers(0, POT), st.dictionaries(st.integers(0, 30), st.integers(0, 10**30), max_size=9))
def test_division_is_exact_and_within_one_unit_of_proportion(
    amount: int, weights: dict[int, int]
) -> None:
    parts, total = divide(amount, weights), sum(weights.values())
    assert sum(parts.values()) == (amount if total else 0)
    assert all(abs(parts[o] * total - amount * weights[o]) < total for o in parts)


def test_ties_go_to_the_lower_index() -> None:
    assert divide(5, {9: 1, 3: 1, 4: 1}) == {9: 1, 3: 2, 4: 2}
    with pytest.raises(LocalError, match="bad-weights"):
        divide(5, {1: -1})


WORK = Work(units=3, tokens={20: 300, 21: 100}, checks={30: 4, 31: 2}, signers=(40, 41))


def job(contributors: dict[int, int], private: frozenset[int] = frozenset()) -> dict[str, int]:
    """Amount by role and owner of a job's pot of 1,000 OPEN."""
    parts = job_parts(POT, SIMNET, 10 * OPEN, contributors, private, WORK, {50: 1})
    shares = split_pot(POT, parts, TREASURY)
    assert sum(share.amount for share in shares) == POT
    paid: dict[str, int] = {}
    for share in shares:
        key = f"{share.role} {share.owner}"
        paid[key] = paid.get(key, 0) + share.amount
    return paid


def test_a_job_pays_influence_lineage_and_work_and_the_rest_to_the_treasury() -> None:
    assert job({1: 3, 2: 1}) == {
        "contributor 1": 375 * OPEN,
        "contributor 2": 125 * OPEN,
        "model-owner 50": 50 * OPEN,
        "worker 20": 225 * OPEN // 10,
        "worker 21": 75 * OPEN // 10,
        "verifier 30": 4 * OPEN,
        "verifier 31": 2 * OPEN,
        "aggregator 40": OPEN,
        "aggregator 41": OPEN,
        f"treasury {TREASURY}": 412 * OPEN,
    }


def test_without_influence_verified_tokens_earn_the_contributors_part() -> None:
    paid = job({})
    assert paid["worker 20"] == 375 * OPEN + 225 * OPEN // 10
    assert not any(key.startswith("contributor") for key in paid)


def test_private_owners_together_are_capped() -> None:
    paid = job({1: 1, 2: 1, 3: 2}, private=frozenset({2, 3}))
    assert (paid["contributor 2"] + paid["contributor 3"], paid["contributor 1"]) == (
        100 * OPEN,
        400 * OPEN,
    )
    assert job({1: 9, 2: 1}, private=frozenset({2}))["contributor 2"] == 50 * OPEN


def test_work_is_paid_from_what_is_left() -> None:
    work = replace(WORK, units=44)
    parts = job_parts(POT, SIMNET, 10 * OPEN, {1: 1}, frozenset(), work, {50: 1})
    amounts = {part.role: part.amount for part in parts}
    assert (amounts["worker"], amounts["verifier"], amounts["aggregator"]) == (
        440 * OPEN,
        6 * OPEN,
        2 * OPEN,
    )
    short = job_parts(POT, SIMNET, 10 * OPEN, {1: 1}, frozenset(), replace(WORK, units=45), {50: 1})
    assert [part.amount for part in short[2:]] == [450 * OPEN, 0, 0]


def test_parts_beyond_the_pot_are_refused() -> None:
    with pytest.raises(LocalError, match="overdrawn"):
        split_pot(10, [Part("worker", 11, {1: 1}, "too much")], TREASURY)
