"""What the receiver counts."""

from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds. The vendor gives 10."""
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ReceiverMetrics:
    """The receiver's metrics on one registry.

    `answer`, `signed_by` and `safe_by` find a child by its labels: looking one up anew costs as
    much as verifying a signature, and there are few of each.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        says = "Answers of the public port, by HTTP status and outcome."
        self.answers = counter("agora_sidecar_answers_total", says, ["status", "outcome"])
        self.answer = cache(self.answers.labels)
        self._door(registry)
        self._inbox(registry)
        self._spool(registry)

    def _door(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        says = "From a request's complete headers to its 200, seconds."
        self.acknowledge = histogram(
            "agora_sidecar_acknowledge_seconds", says, buckets=LATENCY_BUCKETS
        )
        says = "Authentic deliveries by source and label of the secret that signed them."
        self.secret_used = counter("agora_sidecar_secret_used_total", says, ["source", "label"])
        self.signed_by = cache(self.secret_used.labels)
        says = "Seconds until no secret of a source is valid any more; +Inf: no end is set."
        self.secrets = gauge("agora_sidecar_secrets_seconds", says, ["source"])
        says = "Authentic deliveries by whether the client's address is on the allow-list."
        self.delivered = counter("agora_sidecar_deliveries_total", says, ["client"])
        self.delivered_by = cache(self.delivered.labels)
        says = "Connections to the public port."
        self.connections = gauge("agora_sidecar_connections", says)
        says = "Connections to the public port that were closed, by why."
        self.closed = counter("agora_sidecar_connections_closed_total", says, ["reason"])
        says = "Seconds until the public port's certificate ends; NaN: there is none."
        self.certificate = gauge("agora_sidecar_certificate_seconds", says)
        self.certificate.set(float("nan"))

    def _inbox(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        says = "Acknowledged events by the way they were safe before the 200."
        self.safe = counter("agora_sidecar_safe_total", says, ["level"])
        self.safe_by = cache(self.safe.labels)
        says = "Events committed together."
        self.batch = histogram("agora_sidecar_batch_events", says, buckets=BATCH_BUCKETS)
        says = "Events that wait for the batch under way."
        self.waiting = gauge("agora_sidecar_waiting_events", says)
        says = "Batches that the store did not take, by kind of error."
        self.append_failures = counter("agora_sidecar_append_failures_total", says, ["kind"])
        says = "1 while the store is less safe than `durability` asks, and the spool stands in."
        self.durability_reduced = gauge("agora_sidecar_durability_reduced", says)
        says = "Events for which the store took longer than `hedge_after`."
        self.hedged = counter("agora_sidecar_hedged_total", says)

    def _spool(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        says = "Events written to the spool."
        self.spooled = counter("agora_sidecar_spooled_total", says)
        says = "Events given back from the spool, by what the stream made of them."
        self.drained = counter("agora_sidecar_spool_drained_total", says, ["outcome"])
        says = "Reads and writes that the spool's disk refused, by kind of error."
        self.spool_failures = counter("agora_sidecar_spool_failures_total", says, ["kind"])
        says = "Damaged files and altered rows of the spool that were set aside."
        self.spool_damaged = counter("agora_sidecar_spool_damaged_total", says)
        says = "Events in the spool that the store has not taken."
        self.spool_waiting = gauge("agora_sidecar_spool_events", says)
        says = "Copies in the spool of what the store may forget in a crash or a fail-over."
        self.spool_copies = gauge("agora_sidecar_spool_copies", says)
        says = "Age of the oldest event in the spool that the store has not taken, seconds."
        self.spool_oldest = gauge("agora_sidecar_spool_oldest_seconds", says)
        says = "Bytes that the spool's events and copies take."
        self.spool_bytes = gauge("agora_sidecar_spool_bytes", says)
