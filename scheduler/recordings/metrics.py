"""What is counted about recordings."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from scheduler.recordings.session import State


class RecordingMetrics:
    """Counters and gauges of intake, reconciler and API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, registry=registry)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(name, about, labels, registry=registry)

        self.recordings = gauge(
            "agora_sidecar_recordings",
            "Open recordings that this process knows of, by state.",
            "state",
        )
        self.leading = gauge(
            "agora_sidecar_recordings_leading",
            "1 while this process asks, stops and tells; else 0.",
        )
        self.entries = counter(
            "agora_sidecar_recording_entries_total",
            "Stream entries read: folded, ignored, unreadable, deferred.",
            "result",
        )
        self.queries = counter(
            "agora_sidecar_recording_queries_total",
            "Calls of query, by how the answer was read.",
            "result",
        )
        self.stops = counter(
            "agora_sidecar_recording_stops_total",
            "Calls of stop, by how the answer was read.",
            "result",
        )
        self.findings = counter(
            "agora_sidecar_recording_findings_total", "Findings put on the stream, by kind.", "kind"
        )
        self.failures = counter(
            "agora_sidecar_recording_check_failures_total",
            "Checks of one recording that failed for a reason of ours.",
        )

    def show_states(self, counts: Mapping[State, int]) -> None:
        """Set the gauge of each state."""
        for state, count in counts.items():
            self.recordings.labels(state.value).set(count)
