"""What is counted about recordings."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from scheduler.recordings.session import State


class RecordingMetrics:
    """Counters and gauges of intake, reconciler and API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.recordings = Gauge(
            "agora_sidecar_recordings",
            "Open recordings that this process knows of, by state.",
            ["state"],
            registry=registry,
        )
        self.leading = Gauge(
            "agora_sidecar_recordings_leading",
            "1 while this process asks, stops and tells; 0 while another one does.",
            registry=registry,
        )
        self.entries = Counter(
            "agora_sidecar_recording_entries_total",
            "Stream entries read: folded, ignored, unreadable, deferred.",
            ["result"],
            registry=registry,
        )
        self.queries = Counter(
            "agora_sidecar_recording_queries_total",
            "Calls of query, by how the answer was read.",
            ["result"],
            registry=registry,
        )
        self.stops = Counter(
            "agora_sidecar_recording_stops_total",
            "Calls of stop, by how the answer was read.",
            ["result"],
            registry=registry,
        )
        self.findings = Counter(
            "agora_sidecar_recording_findings_total",
            "Findings put on the stream, by kind.",
            ["kind"],
            registry=registry,
        )
        self.failures = Counter(
            "agora_sidecar_recording_check_failures_total",
            "Checks of one recording that failed for a reason of ours.",
            registry=registry,
        )

    def show_states(self, counts: Mapping[State, int]) -> None:
        """Set the gauge of each state."""
        for state, count in counts.items():
            self.recordings.labels(state.value).set(count)
