"""What is counted about trimming."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class TrimMetrics:
    """Counters and gauges of each stream, by its key."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str) -> Gauge:
            return Gauge(name, about, ["stream"], registry=registry)

        self.trimmed = Counter(
            "agora_sidecar_trimmed_total",
            "Entries that this process trimmed.",
            ["stream"],
            registry=registry,
        )
        self.entries = gauge("agora_sidecar_stream_entries", "Entries on the stream.")
        self.oldest = gauge(
            "agora_sidecar_stream_oldest_seconds",
            "Age of the oldest entry by the store's clock, seconds; 0 when there is none.",
        )
        self.over_limit = gauge(
            "agora_sidecar_stream_over_limit",
            "1 while trimming does not bring the stream within its limits (see the log); else 0.",
        )
