"""What is counted about recordings."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SOON = (15, 30, 60, 120, 180, 240, 300, 450, 600, 900, 1800, 3600, 7200)
"""Seconds; a silence, a 404 that lasts, and what stretches them."""


class RecordingMetrics:
    """Counters and gauges of intake, reconciler and API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        counter = partial(Counter, registry=registry)
        self.recordings = gauge(
            "agora_sidecar_recordings",
            "Open recordings that this process knows of, by state.",
            ["state"],
        )
        self.entries = counter(
            "agora_sidecar_recording_entries_total",
            "Stream entries read: folded, ignored, unreadable, deferred.",
            ["result"],
        )
        self.failures = counter(
            "agora_sidecar_recording_check_failures_total",
            "Checks of one recording that failed for a reason of ours.",
        )
        self._of_calls(counter)
        self._of_findings(counter, registry)
        self._of_pace(gauge)

    def _of_calls(self, counter: "partial[Counter]") -> None:
        self.queries = counter(
            "agora_sidecar_recording_queries_total",
            "Calls of query, by why it was asked and how the answer was read.",
            ["reason", "result"],
        )
        self.stops = counter(
            "agora_sidecar_recording_stops_total",
            "Stops that were owed, by why and how the answer was read; withheld: not called.",
            ["reason", "result"],
        )
        self.hints = counter(
            "agora_sidecar_recording_hints_total",
            "Reasons to ask earlier than silence would: error, gap, gap_damped, idle.",
            ["kind"],
        )
        self.gaps = counter(
            "agora_sidecar_recording_gaps_total",
            "Notifications that are missing by their numbers, and those that came late.",
            ["what"],
        )

    def _of_findings(self, counter: "partial[Counter]", registry: CollectorRegistry) -> None:
        self.findings = counter(
            "agora_sidecar_recording_findings_total",
            "Findings put on the stream, by kind.",
            ["kind"],
        )
        self.contradicted = counter(
            "agora_sidecar_recording_findings_contradicted_total",
            "Ends that were told and that later evidence contradicts. Must stay 0.",
        )
        self.time_to_finding = Histogram(
            "agora_sidecar_recording_time_to_finding_seconds",
            "From the last sign of life to the closed entry, where no event told the end, seconds.",
            buckets=SOON,
            registry=registry,
        )

    def _of_pace(self, gauge: "partial[Gauge]") -> None:
        self.leading = gauge(
            "agora_sidecar_recordings_leading",
            "1 while this process asks, stops and tells; else 0.",
        )
        self.wave = gauge(
            "agora_sidecar_recordings_not_found_wave",
            "1 while several recordings are 404s, none of them believed and none found; else 0.",
        )
        self.interval = gauge(
            "agora_sidecar_recordings_effective_interval_seconds",
            "The longest time between questions about a silent recording, as the budget allows.",
        )
        self.bound = gauge(
            "agora_sidecar_recordings_time_to_finding_bound_seconds",
            "How soon an end of which no event tells is found out, at the latest.",
        )
        self.budget_left = gauge(
            "agora_sidecar_recordings_budget_left",
            "Calls a second that recordings may count on; the rest is the business server's.",
        )
        self.stops_left = gauge(
            "agora_sidecar_recordings_stops_left",
            "Stops that may still be called within the hour.",
        )
        self.kept = gauge(
            "agora_sidecar_recordings_kept_on_disk",
            "Registrations that are kept on disk as well; -1 while the disk does not take them.",
        )
