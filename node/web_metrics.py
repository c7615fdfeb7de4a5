"""Prometheus text of a snapshot: what failed by reason, and the figures of the overview."""

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
        connected = sum(peer["connected"] for peer in self.snapshot["peers"])
        for name, text, value in (
            ("peers_connected", "Peers connected now", connected),
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
