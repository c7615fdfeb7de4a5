"""Prometheus text of a snapshot: what failed by reason, and the figures of the overview."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from node.facade import Json

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Snapshot(Collector):
    def __init__(self, snapshot: Json) -> None:
        self.snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        status = self.snapshot["status"]
        yield _failures(self.snapshot["failures"])
        yield _mesh(status["mesh"])
        yield CounterMetricFamily(
            "openledger_published_to_zero",
            "Messages that reached no peer",
            value=status["published_to_zero"],
        )
        yield from _peers(self.snapshot["peers"], status)
        yield from _shards(status["shards"])
        for name, text, value in (
            ("chain_head", "Number of the newest block seen", status["head"]["number"]),
            ("chain_head_seconds", "Unix time of the newest block", status["head"]["time"]),
            ("stake_base_units", "Stake of the operator", int(status["stake"])),
            ("claimable_base_units", "Earned, not yet claimed", int(status["claimable_open"])),
            ("slashes", "Slashes seen", len(self.snapshot["slashes"])),
        ):
            yield GaugeMetricFamily(f"openledger_{name}", text, value=value)


def metrics_text(snapshot: Json) -> bytes:
    """The exposition format that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(snapshot))
    return bytes(generate_latest(registry))


def _failures(failures: list[dict[str, Any]]) -> Metric:
    family = CounterMetricFamily(
        "openledger_failures", "What was dropped, refused or lost, by reason", labels=["reason"]
    )
    for failure in failures:
        family.add_metric([failure["reason"]], failure["count"])
    return family


def _mesh(mesh: dict[str, int]) -> Metric:
    family = GaugeMetricFamily("openledger_mesh_peers", "Peers in a topic", labels=["topic"])
    for topic, peers in mesh.items():
        family.add_metric([topic], peers)
    return family


def _peers(peers: list[dict[str, Any]], status: Json) -> Iterable[Metric]:
    """Links, refusals, versions and the verdict on reachability."""
    others = [peer for peer in peers if peer["peer_id"] != status["peer_id"]]
    linked = [peer for peer in others if peer["connected"]]
    wire = status["wire"]
    for name, text, value in (
        ("peers_connected", "Peers connected now", len(linked)),
        ("peers_known", "Peers registered, linked or remembered", len(others)),
        ("peers_relayed", "Peers reached through a relay only", _count(linked, "relayed")),
        ("peers_banned", "Peers that were at fault too often", _count(others, "banned_seconds")),
        ("peers_newer", "Connected peers of a newer wire version", wire["newer"]),
        ("wire_version", "Highest wire version that this node speaks", wire["version"]),
    ):
        yield GaugeMetricFamily(f"openledger_{name}", text, value=value)
    yield _by("direction", "Connected peers by who dialled", [peer["direction"] for peer in linked])
    yield _by("lost", "Peers that are gone, by reason", _lost(others))
    refused = GaugeMetricFamily(
        "openledger_peers_refused", "Connected peers that refuse this node", labels=["reason"]
    )
    for one in status["refused_by"]:
        refused.add_metric([one["reason"]], one["peers"])
    yield refused
    verdict = GaugeMetricFamily(
        "openledger_reachability", "1 for the verdict in force", labels=["verdict"]
    )
    for name in ("unknown", "public", "relayed", "outbound-only"):
        verdict.add_metric([name], float(status["reachability"]["verdict"] == name))
    yield verdict
    yield _by_peer("latency_seconds", "Last round trip", linked, "latency_ms", 1_000)
    yield _by_peer("faults", "Points for faults, that fade", others, "faults", 1)


def _shards(shards: Json) -> Iterable[Metric]:
    """The table of providers: what is told, what is kept, what came of asking."""
    for name, text, value in (
        ("shards_provided", "Shards of which this node tells that it holds them", "provided"),
        ("provider_records", "Records of others' shards kept for them", "records"),
    ):
        yield GaugeMetricFamily(f"openledger_{name}", text, value=shards[value])
    lookups = CounterMetricFamily(
        "openledger_lookups", "Searches for holders of a shard, by outcome", labels=["outcome"]
    )
    for outcome in ("found", "empty", "silent"):
        lookups.add_metric([outcome], shards["lookups"].get(outcome, 0))
    yield lookups


def _count(peers: list[dict[str, Any]], field: str) -> int:
    return sum(bool(peer[field]) for peer in peers)


def _lost(peers: list[dict[str, Any]]) -> list[str | None]:
    return [peer["lost_reason"] for peer in peers if not peer["connected"]]


def _by(name: str, text: str, values: list[str | None]) -> Metric:
    family = GaugeMetricFamily(f"openledger_peers_{name}", text, labels=[name])
    for value, number in sorted(Counter(value or "unknown" for value in values).items()):
        family.add_metric([value], number)
    return family


def _by_peer(
    name: str, text: str, peers: list[dict[str, Any]], field: str, per_unit: int
) -> Metric:
    """One value a peer that has one."""
    family = GaugeMetricFamily(f"openledger_peer_{name}", text, labels=["peer"])
    for peer in peers:
        if peer[field]:
            family.add_metric([peer["peer_id"]], peer[field] / per_unit)
    return family
