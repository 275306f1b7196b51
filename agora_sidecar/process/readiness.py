"""Readiness as metrics, for whoever is told by Prometheus and not by an orchestrator."""

from prometheus_client import CollectorRegistry, Gauge

from agora_sidecar.process.health import Health


class HealthMetrics:
    """How a process and what it depends on are, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        says = "1 while the process can do its work, as /readyz says; else 0."
        self.ready = Gauge("agora_sidecar_ready", says, registry=registry)
        says = "1 while this dependency is well, as /readyz says; else 0."
        self.well = Gauge("agora_sidecar_dependency_well", says, ["dependency"], registry=registry)

    def show(self, health: Health) -> None:
        """Set them to what is so now."""
        self.ready.set(health.ready)
        for condition in health.conditions():
            self.well.labels(condition.name).set(not condition.problem)
