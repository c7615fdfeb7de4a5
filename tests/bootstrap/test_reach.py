"""The verdict on reachability, and the advice that goes with it."""

import pytest

from bootstrap.reach import Listening, Report, conclude

PUBLIC, HOME, PORT = "1.2.3.4", "192.168.1.5", 4001
OURS = f"/ip4/{PUBLIC}/tcp/{PORT}/p2p/us"
RELAY = "/ip4/198.51.100.1/tcp/1/p2p/relay/p2p-circuit/p2p/us"
HERE = Listening("0.0.0.0", PORT, True, (HOME, "127.0.0.1"))


def report(reached: bool, seed: str = "seed", observed: str = PUBLIC) -> Report:
    return Report(seed, observed, (OURS,), (OURS,) if reached else ())


def test_public_when_most_seeds_got_through() -> None:
    found = conclude([report(True), report(True, "other")], (), HERE)
    assert (found.verdict, found.addrs, found.advice) == ("public", (OURS,), "")
    assert found.why == f"2 of 2 seeds dialled /ip4/{PUBLIC}/tcp/{PORT}"
    assert conclude([report(True), Report("b", fault="timeout")], (), HERE).verdict == "public"


def test_one_of_two_is_not_enough() -> None:
    assert conclude([report(True), report(False, "b")], (), HERE).verdict == "outbound-only"


def test_public_on_a_private_network_says_how_far_that_goes() -> None:
    found = conclude([report(True, observed=HOME)], (), HERE)
    assert found.verdict == "public" and f"network of {HOME}" in found.advice


def test_behind_a_router_the_advice_is_the_port_to_forward() -> None:
    found = conclude([report(False), report(False, "b")], (), HERE)
    assert found.verdict == "outbound-only" and found.addrs == ()
    assert f"forward TCP port {PORT} of the router to {HOME}:{PORT}" in found.advice
    assert "Choose a fixed port" not in found.advice


def test_a_port_that_changes_with_every_start_is_the_first_thing_to_mend() -> None:
    moving = Listening("0.0.0.0", 40_123, False, (HOME,))
    advice = conclude([report(False)], (), moving).advice
    assert advice.startswith("Choose a fixed port ([listen] port = 4001)")
    assert f"to {HOME}:4001" in advice


def test_without_a_router_it_is_a_firewall() -> None:
    own = Listening("0.0.0.0", PORT, True, (PUBLIC,))
    assert f"ufw allow {PORT}/tcp" in conclude([report(False)], (), own).advice


def test_a_node_that_listens_to_itself_only_is_told_so() -> None:
    alone = Listening("127.0.0.1", PORT, True, (HOME,))
    assert '[listen] host = "0.0.0.0"' in conclude([report(False)], (), alone).advice


def test_a_place_at_a_relay_makes_it_relayed() -> None:
    found = conclude([report(False)], (RELAY,), HERE)
    assert (found.verdict, found.addrs) == ("relayed", (RELAY,))


@pytest.mark.parametrize("reports", [[], [Report("some-seed", fault="timeout (no answer)")]])
def test_unknown_is_said_with_the_reason(reports: list[Report]) -> None:
    found = conclude(reports, (), HERE)
    assert found.verdict == "unknown" and found.advice
    assert "timeout" in found.why or found.why == "no seed is connected"
