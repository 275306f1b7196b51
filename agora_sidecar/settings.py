"""The settings that both processes need: the store, the stream, who may sign, the account, logs."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from agora_sidecar.process.advice import Loud, Within
from agora_sidecar.process.quantities import (
    Count,
    Duration,
    Flag,
    Number,
    OptionalInstant,
    Text,
    is_loopback,
    matching,
    written,
)
from agora_sidecar.process.secret import GivenSecret, Secret, SecretUrl
from agora_sidecar.process.settings import Section
from agora_sidecar.store_address import read_address

SourceName = Annotated[
    Text,
    matching(r"[a-z0-9-]{1,32}", "1 to 32 of a-z, 0-9 and -: it is part of a path and of keys"),
]
"""Names a source in the receiver's path, in keys, entries and metrics."""


def _redis_url(url: SecretUrl) -> SecretUrl:
    read_address(url.get_secret_value())
    return url


class RedisSettings(Section):
    """The store that both processes share."""

    url: Annotated[SecretUrl, AfterValidator(_redis_url)] = Field(
        default=written("redis://127.0.0.1:6379/0"),
        description="Redis or Valkey: redis://, rediss:// (TLS), unix://, or several servers: "
        "redis+sentinel://h1:26379,h2:26379/mymaster, redis+cluster://h1:6379,h2:6379",
    )
    prefix: Annotated[
        Text, matching(r"[A-Za-z0-9_-]{1,32}", "1 to 32 of A-Z, a-z, 0-9, _ and -")
    ] = Field(
        default="ncs",
        description="First part of every key, in braces; tells deployments in one Redis apart",
    )


GroupName = Annotated[Text, matching(r"[!-~]{1,128}", "1 to 128 printable characters, no spaces")]
"""A consumer group of the stream."""


class StreamSettings(Section):
    """The stream that consumers read."""

    shards: Count = Field(
        default=1, ge=1, le=256, description="Streams over which recordings are spread, by sid"
    )
    retention: Duration = Field(
        default=written("72h"),
        description="Age from which entries are trimmed; not before they are taken in",
    )
    max_entries: Count = Field(
        default=1_000_000, ge=1, le=10**12, description="Entries from which the oldest are trimmed"
    )
    protect_groups: tuple[GroupName, ...] = Field(
        default=(),
        max_length=32,
        description="Consumer groups besides our own that nothing is trimmed before",
    )
    dedupe_window: Annotated[
        Duration,
        Within(at_least="1h", reason="a late retry of a notice would be stored a second time"),
    ] = Field(
        default=written("24h"),
        description="How long a notice is remembered, so that its retries are recognised",
    )


class SigningSecret(Section):
    """One of the secrets that a source's notifications may be signed with."""

    label: Annotated[
        Text, matching(r"[A-Za-z0-9._-]{1,32}", "1 to 32 of A-Z, a-z, 0-9, '.', _ and -")
    ] = Field(description="Says in logs and metrics which secret matched; never the secret itself")
    value: GivenSecret = Field(description="The secret that the vendor's console shows")
    not_before: OptionalInstant = Field(
        default=written(""), description="Valid from this date and time on; empty: always was"
    )
    not_after: OptionalInstant = Field(
        default=written(""),
        description="Valid up to this date and time; empty: until taken away",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        after, until = self.not_before, self.not_after
        if after is not None and until is not None and after >= until:
            raise ValueError("not_before must be earlier than not_after")
        return self


class SourceSettings(Section):
    """One configured notification of the vendor's console: a project's product block."""

    name: SourceName = Field(description="Names the source: {path}/{name} is its address")
    secrets: tuple[SigningSecret, ...] = Field(
        min_length=1, description="All that are active now: two or more while one is replaced"
    )
    accept_sha1: Flag = Field(
        default=False, description="Whether Agora-Signature (SHA-1) alone is enough"
    )
    redundant: Flag = Field(
        default=False,
        description="Whether the account has redundant notification: equal payloads are duplicates",
    )

    @field_validator("secrets")
    @classmethod
    def _labels_differ(cls, found: tuple[SigningSecret, ...]) -> tuple[SigningSecret, ...]:
        if len({secret.label for secret in found}) < len(found):
            raise ValueError("must have different labels")
        return found


class AgoraSettings(Section):
    """The account with the vendor, and how to reach its REST API."""

    app_id: Text = Field(default="", description="The project's App ID")
    customer_id: Text = Field(default="", description="User name of the REST API's Basic login")
    customer_secret: Secret = Field(default=written(""), description="Password of that login")
    allow_http: Annotated[
        Flag, Loud(True, "credentials may travel unencrypted: for an emulator only")
    ] = Field(default=False, description="Whether base_urls may be http:// beyond loopback")
    base_urls: tuple[Text, ...] = Field(
        default=("https://api.sd-rtn.com", "https://api.agora.io"),
        min_length=1,
        max_length=32,
        description="Hosts of the REST API, the preferred first; if one fails the next is asked",
    )
    requests_per_second: Number = Field(
        default=8,
        gt=0,
        le=1000,
        description="Budget of all calls; an account has 10, the rest is for the business server",
    )

    @field_validator("base_urls")
    @classmethod
    def _reachable(cls, urls: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for index, url in enumerate(urls):
            if problem := _base_url_problem(url, allow_http=info.data.get("allow_http", False)):
                raise ValueError(f"must {problem} (number {index + 1})")
        return tuple(url.rstrip("/") for url in urls)


def _base_url_problem(url: str, *, allow_http: bool) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "be addresses such as https://api.agora.io"
    if parts.scheme not in {"https", "http"} or not host or port == 0:
        return "be addresses such as https://api.agora.io"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "hold neither a login nor a query; the login is customer_id and customer_secret"
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        return "be https:// beyond this machine; for an emulator set allow_http = true"
    return ""


class LoggingSettings(Section):
    """What is written to standard output."""

    format: Literal["json", "console"] = Field(
        default="json", description="json: one object a line; console: for a person"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important level that is written"
    )
