"""What the receiver counts."""

from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds. The vendor gives 10."""


class ReceiverMetrics:
    """The receiver's metrics on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.answers = counter(
            "agora_sidecar_answers_total",
            "Answers of the public port, by HTTP status and outcome.",
            ["status", "outcome"],
        )
        # looking a child up costs as much as verifying a signature; there are few of each
        self.answer = cache(self.answers.labels)
        self.acknowledge = histogram(
            "agora_sidecar_acknowledge_seconds",
            "From a request's complete headers to its 200, seconds.",
            buckets=LATENCY_BUCKETS,
        )
        self.secret_used = counter(
            "agora_sidecar_secret_used_total",
            "Authentic deliveries by source and label of the secret that signed them.",
            ["source", "label"],
        )
        self.signed_by = cache(self.secret_used.labels)
        self.safe = counter(
            "agora_sidecar_safe_total",
            "Acknowledged events by the way they were safe before the 200.",
            ["level"],
        )
        self.safe_by = cache(self.safe.labels)
        self.batch = histogram(
            "agora_sidecar_batch_events",
            "Events committed together.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        )
        self.waiting = gauge(
            "agora_sidecar_waiting_events", "Events that wait for the batch under way."
        )
        self.append_failures = counter(
            "agora_sidecar_append_failures_total",
            "Batches that the store did not take, by kind of error.",
            ["kind"],
        )
        self.durability_reduced = gauge(
            "agora_sidecar_durability_reduced",
            "1 while the store is less safe than `durability` asks.",
        )
