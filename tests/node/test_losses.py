"""Held-out losses: their means, and that an attribution which invents them is refused."""

from dataclasses import replace

import pytest

from node.losses import by_datanet, total
from protocol.codec import unpack
from protocol.compute import RecordText
from protocol.ids import ZERO, content_id
from protocol.messages import SCORED, SCORES, OpenedRecord, QueriesBody, ScoreCheck
from protocol.params import SIMNET
from simnet.world import Member
from tests.simnet import rogues
from tests.simnet.story import DEMO, FIVE, Cast, told

ONE, TWO = content_id(b"one"), content_id(b"two")
# One worker, so that nobody else attributes; everybody else is as honest as in the demo.
FLATTERED = Cast(
    (
        *FIVE[:2],
        Member("cyd", ("contributor", "aggregator", "verifier")),
        Member("dan", ("contributor", "verifier")),
        Member("wes", ("worker",), wrap=rogues.flatter),
    ),
    DEMO.parts,
    params=replace(SIMNET, rounds=1, workers=1, attribute_seconds=60),
    answers=0,
)


def test_each_datanet_counts_alike_however_many_queries_it_reserved() -> None:
    records = tuple(OpenedRecord(ZERO, 0, d, RecordText("", "a")) for d in (TWO, ONE, TWO))
    asked = QueriesBody(ZERO, records)
    assert by_datanet(asked, (4, 10, 7)) == {ONE: 10, TWO: 5}
    assert total(asked, (4, 10, 7)) == 15
    with pytest.raises(ValueError, match="zip"):
        total(asked, (4, 10))


def test_invented_losses_are_found_and_pay_nobody() -> None:
    ended = told(FLATTERED)
    assert ended.attributed is None
    (scores,) = ended.board.posted(SCORES, ended.job.id)
    found = ended.board.posted(SCORED, scores.value)
    assert found and {post.finding for post in found} == {"B"}
    nodes = {ctx.operator: ctx for ctx in ended.nodes.values()}
    for post in found:
        check = unpack(ScoreCheck, nodes[post.operator].seams.blobs.get(post.value))
        assert len(check.queries) == SIMNET.row_samples and check.loss_ppm > 80_000
        assert check.score_ppm == 0  # nothing else was wrong
    assert ended.earned("dan", "contributor") == 0
