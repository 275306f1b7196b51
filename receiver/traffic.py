"""What the receiver has counted since its start, as `/status` tells it: rates are its readers'."""

import math
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from receiver.metrics import ReceiverMetrics


def counted(metrics: ReceiverMetrics) -> dict[str, Any]:
    """Answers, how events were safe, and the times to a 200; seconds, buckets cumulative."""
    return {
        "acknowledge": _histogram(metrics.acknowledge),
        "answers": [
            {**labels, "count": count} for labels, count in _children(metrics.answers) if count
        ],
        "safe": {labels["level"]: count for labels, count in _children(metrics.safe)},
        "clients": {labels["client"]: count for labels, count in _children(metrics.delivered)},
        "batches": _histogram(metrics.batch, bounds=False),
        "connections": _value(metrics.connections),
        "waiting": _value(metrics.waiting),
    }


def _histogram(metric: Histogram, *, bounds: bool = True) -> dict[str, Any]:
    [family] = metric.collect()
    found = {"count": 0, "sum": 0.0}
    buckets: list[list[float | None]] = []
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            buckets.append([None if math.isinf(bound) else bound, int(sample.value)])
        elif sample.name.endswith("_count"):
            found["count"] = int(sample.value)
        elif sample.name.endswith("_sum"):
            found["sum"] = round(sample.value, 6)
    return {**found, "buckets": buckets} if bounds else found


def _children(metric: Counter) -> list[tuple[dict[str, str], int]]:
    [family] = metric.collect()
    return [
        (dict(sample.labels), int(sample.value))
        for sample in family.samples
        if sample.name.endswith("_total")
    ]


def _value(metric: Gauge) -> int:
    [family] = metric.collect()
    return int(family.samples[0].value)
