"""What the allow-list loop counts."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge


class AllowlistMetrics:
    """The allow-list's metrics on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self.polls = counter(
            "agora_sidecar_allowlist_polls_total",
            "Polls of the vendor's address list by result: ok, or why it changed nothing.",
            ["result"],
        )
        self.last_good_poll = gauge(
            "agora_sidecar_allowlist_last_good_poll_timestamp_seconds",
            "When the vendor last gave a usable list, Unix seconds; 0 for never.",
        )
        self.entries = gauge(
            "agora_sidecar_allowlist_entries", "Admitted addresses by state.", ["state"]
        )
        self.revision = gauge(
            "agora_sidecar_allowlist_revision",
            "Grows with every change of who is admitted and how.",
        )
        self.rejected = counter(
            "agora_sidecar_allowlist_rejected_entries_total",
            "Values of good answers that were not let in, by reason.",
            ["reason"],
        )
        self.in_sync = gauge(
            "agora_sidecar_allowlist_target_in_sync",
            "1 if the target had what it should when it was last read back.",
            ["target"],
        )
        self.applied = counter(
            "agora_sidecar_allowlist_applied_total",
            "Plans by target and result: ok, failed, refused.",
            ["target", "result"],
        )
        self.packets = gauge(
            "agora_sidecar_allowlist_packets",
            "What the target counted since it was made: listed, unlisted.",
            ["target", "kind"],
        )
