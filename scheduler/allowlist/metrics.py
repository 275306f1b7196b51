"""What the allow-list loop counts."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class AllowlistMetrics:
    """The allow-list's metrics on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count_polls(registry)
        self._count_targets(registry)
        self._count_orders(registry)
        self._count_sources(registry)

    def _count_polls(self, registry: CollectorRegistry) -> None:
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
        self.alarm = gauge(
            "agora_sidecar_allowlist_age_alarm",
            "How old the list is: 0 fresh, 1 late (a poll was missed), 2 over 12 h, 3 over 24 h.",
        )
        self.held = gauge(
            "agora_sidecar_allowlist_held_entries",
            "Addresses that wait for a second answer or for the operator.",
        )

    def _count_targets(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
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
        self.repairs = counter(
            "agora_sidecar_allowlist_drift_repairs_total",
            "What others changed in a target and was put right, by target.",
            ["target"],
        )
        self.storm = gauge(
            "agora_sidecar_allowlist_repair_storm",
            "1 while somebody changes a target again and again: repairs are slowed down.",
        )

    def _count_orders(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        self.frozen = gauge(
            "agora_sidecar_allowlist_frozen", "1 while the operator lets no target be touched."
        )
        self.open_seconds = gauge(
            "agora_sidecar_allowlist_open_seconds",
            "For how long more the operator lets everybody in; 0: not at all.",
        )

    def _count_sources(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self.knocks = counter(
            "agora_sidecar_allowlist_knocks_total",
            "Unlisted sources that came and led to a poll.",
        )
        self.coverage = gauge(
            "agora_sidecar_allowlist_coverage_ratio",
            "Part of the authentic deliveries of the last days that came from listed addresses.",
        )
        self.blind = Histogram(
            "agora_sidecar_allowlist_blind_seconds",
            "From the first packet of an unlisted address until it was admitted.",
            buckets=(0.1, 0.5, 1, 3, 10, 60, 600, 3600, 12 * 3600, 24 * 3600),
            registry=registry,
        )
