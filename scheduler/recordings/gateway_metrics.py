"""What is counted about the gateway."""

from prometheus_client import CollectorRegistry, Counter


class GatewayMetrics:
    """Counters of the calls that came to the gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "agora_sidecar_gateway_calls_total",
            "Calls that came to the gateway: ok, error (the vendor's), refused (here), unanswered.",
            ("call", "result"),
            registry=registry,
        )
