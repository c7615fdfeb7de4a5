"""Sharing pure results among simulated nodes changes nothing but the time that a run takes."""

from contextlib import nullcontext
from unittest.mock import patch

from protocol import codec, signing
from simnet import seams
from simnet.draw_plan import draw_plan
from simnet.play import play
from simnet.shared import sharing


def test_a_run_without_sharing_has_the_same_trace() -> None:
    plan = draw_plan("calm", 1, 9, 0.1)
    shared = play(plan)
    with patch.object(seams, "sharing", nullcontext):
        assert play(plan).trace == shared.trace


def test_functions_are_themselves_again_afterwards() -> None:
    before = codec.decoded, signing.genuine
    with sharing():
        assert (codec.decoded, signing.genuine) != before
    assert (codec.decoded, signing.genuine) == before
