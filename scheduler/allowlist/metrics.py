"""What the allow-list loop counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class AllowlistMetrics:
    """The allow-list's metrics on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.polls = Counter(
            "agora_sidecar_allowlist_polls_total",
            "Polls of the vendor's address list by result: ok, or why it changed nothing.",
            ["result"],
            registry=registry,
        )
        self.last_good_poll = Gauge(
            "agora_sidecar_allowlist_last_good_poll_timestamp_seconds",
            "When the vendor last gave a usable list, Unix seconds; 0 for never.",
            registry=registry,
        )
        self.entries = Gauge(
            "agora_sidecar_allowlist_entries",
            "Admitted addresses by state.",
            ["state"],
            registry=registry,
        )
        self.revision = Gauge(
            "agora_sidecar_allowlist_revision",
            "Grows with every change of who is admitted and how.",
            registry=registry,
        )
        self.rejected = Counter(
            "agora_sidecar_allowlist_rejected_entries_total",
            "Values of good answers that were not let in, by reason.",
            ["reason"],
            registry=registry,
        )
        self.in_sync = Gauge(
            "agora_sidecar_allowlist_target_in_sync",
            "1 if the target had what it should when it was last read back.",
            ["target"],
            registry=registry,
        )
        self.applied = Counter(
            "agora_sidecar_allowlist_applied_total",
            "Plans by target and result: ok, failed, refused.",
            ["target", "result"],
            registry=registry,
        )
        self.packets = Gauge(
            "agora_sidecar_allowlist_packets",
            "What the target counted since it was made: listed, unlisted.",
            ["target", "kind"],
            registry=registry,
        )
