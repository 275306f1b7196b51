"""The gateway's settings into what the business server may ask."""

import secrets
from collections.abc import Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry

from agora_sidecar.agora.client import Client
from agora_sidecar.process.clock import Clock
from scheduler.recordings.api import recordings_application
from scheduler.recordings.door import Door
from scheduler.recordings.gateway import Gateway
from scheduler.recordings.gateway_judge import Judge
from scheduler.recordings.gateway_memory import Memory
from scheduler.recordings.gateway_metrics import GatewayMetrics
from scheduler.recordings.gateway_ties import Ties
from scheduler.recordings.registry import Registry
from scheduler.settings import GatewaySettings


def business_application(
    settings: GatewaySettings,
    *,
    registry: Registry,
    memory: Memory,
    client: Client,
    app_ids: Sequence[str],
    clock: Clock,
    metrics: CollectorRegistry,
) -> web.Application:
    """What the business server may ask: the vendor's paths and the recordings API."""
    hosts = [settings.listen.host] if settings.listen is not None else []
    door = Door(token=settings.token.get_secret_value(), allowed_hosts=hosts)
    application = recordings_application(registry=registry, app_ids=app_ids, clock=clock, door=door)
    ties = Ties(secrets.token_bytes(32))
    gateway = Gateway(
        client=client,
        memory=memory,
        ties=ties,
        app_ids=app_ids,
        judge=Judge(ties=ties, memory=memory, clock=clock, validation=settings.validation),
        door=door,
        clock=clock,
        metrics=GatewayMetrics(metrics),
    )
    gateway.mount(application)
    return application
