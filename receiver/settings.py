"""The receiver's own settings: where it listens, its limits, and how safe is safe."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from agora_sidecar.process.advice import Loud, Within
from agora_sidecar.process.quantities import (
    Address,
    Count,
    Duration,
    OptionalDuration,
    Size,
    Text,
    matching,
    written,
)
from agora_sidecar.process.secret import Secret
from agora_sidecar.process.settings import Section
from receiver.client_address import TrustedProxies


class ReceiverSettings(Section):
    """The process that faces the internet."""

    listen: Address = Field(
        default=written("0.0.0.0:8080"), description="Where notifications arrive, as host:port"
    )
    ops_listen: Address = Field(
        default=written("127.0.0.1:9101"), description="Where health and metrics are; never public"
    )
    path: Annotated[
        Text,
        matching(
            r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", "a path such as /ncs, without a / at its end"
        ),
    ] = Field(default="/ncs", description="Path of the notifications; also {path}/{source}")
    max_body: Size = Field(
        default=written("256KiB"),
        ge=1 << 10,
        le=64 << 20,
        description="Largest body; the largest documented ones are tens of KiB",
    )
    durability: Annotated[
        Literal["disk", "memory"],
        Loud("memory", "a crash of Redis may lose notifications that were acknowledged"),
    ] = Field(
        default="disk",
        description="disk: 200 only after an fsync; memory: as soon as Redis took it",
    )
    workers: Count = Field(default=1, ge=1, le=64, description="Processes that share the port")
    require_listed: Literal["off", "observe", "enforce"] = Field(
        default="off", description="Whether the client's address must be on the allow-list"
    )
    max_age: Annotated[
        OptionalDuration,
        Within(at_least="15m", reason="the vendor's retries and both clocks need some time"),
    ] = Field(
        default=written(""),
        description="Refuse notices whose notifyMs is older; empty: none",
    )
    ack_deadline: Annotated[
        Duration, Within(at_most="10s", reason="the vendor waits 10 s, and then sends it again")
    ] = Field(default=written("8s"), description="From arrival to the answer, at the latest")
    hedge_after: Duration = Field(
        default=written("2s"),
        description="From arrival; when Redis takes longer, the event goes to the spool as well",
    )
    spool_limit: Size = Field(
        default=written("1GiB"),
        ge=1 << 20,
        le=1 << 40,
        description="Largest spool, on the disk of data_dir; a full one answers 503",
    )
    shadow: Duration = Field(
        default=written("30s"),
        description="How long the spool keeps a copy of each event where Redis may fail over",
    )
    max_connections: Count = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Open connections; beyond them those go that delivered nothing authentic",
    )
    trusted_proxies: tuple[Text, ...] = Field(
        default=(), max_length=64, description="Addresses that may tell the client's address"
    )
    tls_certificate: Text = Field(
        default="", description="Certificate chain (PEM file); with tls_key: serve TLS"
    )
    tls_key: Text = Field(default="", description="Private key of the certificate (PEM file)")
    secret: Secret = Field(
        default=written(""),
        description="Short for one source named default; excludes [[sources]]",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        TrustedProxies(found)
        return found

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.hedge_after >= self.ack_deadline:
            raise ValueError("hedge_after must be shorter than ack_deadline")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key must be set both, or neither")
        if self.listen == self.ops_listen and self.listen.port:
            raise ValueError("listen and ops_listen must differ")
        return self
