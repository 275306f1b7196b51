"""The scheduler's own settings: the allow-list, the gateway, the recordings."""

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from agora_sidecar.process.advice import Loud, Within
from agora_sidecar.process.quantities import (
    Address,
    Count,
    Duration,
    OptionalAddress,
    OptionalDuration,
    Text,
    matching,
    written,
)
from agora_sidecar.process.secret import Secret
from agora_sidecar.process.settings import Section
from scheduler.target_settings import (
    CLOUD,
    CommandTarget,
    FileTarget,
    NftablesTarget,
    Target,
    place,
)

__all__ = [
    "AllowlistSettings",
    "CommandTarget",
    "FileTarget",
    "GatewaySettings",
    "NftablesTarget",
    "RecordingsSettings",
    "SchedulerSettings",
    "Target",
]

ApiPath = Annotated[Text, matching(r"(/[A-Za-z0-9._~-]+)+", "a path such as /v1/ncs/ip")]


def _named_address(text: str) -> str:
    name, equals, address = text.partition("=")
    try:
        found = ip_address(address.strip())
    except ValueError:
        raise ValueError('must be "name = address" with one IPv4 or IPv6 address') from None
    if not equals or not name.strip():
        raise ValueError('must be "name = address": the name says whose it is')
    return f"{name.strip()} = {found}"


class AllowlistSettings(Section):
    """The list of the vendor's addresses and what is made of it."""

    poll_interval: Annotated[
        Duration,
        Within("60s", "24h", "the vendor asks for a poll at least every 24 h, and limits requests"),
    ] = Field(
        default=written("2h"),
        description="How often the vendor is asked for its addresses",
    )
    ip_paths: tuple[ApiPath, ...] = Field(
        default=("/v1/ncs/ip", "/v2/ncs/ip"),
        min_length=1,
        max_length=8,
        description="Where the address list stands at the REST API's hosts",
    )
    ip_paths_use: Literal["first", "all"] = Field(
        default="first", description="first: the first that answers; all: the union"
    )
    grace: Annotated[
        Duration, Within(at_least="24h", reason="the vendor's addresses move in a cycle of 24 h")
    ] = Field(
        default=written("26h"),
        description="How long an address stays admitted after three good polls without it",
    )
    max_entries: Count = Field(
        default=64, ge=1, le=10_000, description="A longer list is odd and changes nothing"
    )
    growth_limit: int = Field(
        default=4,
        ge=2,
        le=1000,
        description="A list this many times as long waits for a second answer",
    )
    turnover_limit: int = Field(
        default=3,
        ge=1,
        le=32,
        description="After so many exchanges of the whole list within one grace, one more waits",
    )
    also_allow: tuple[Annotated[Text, AfterValidator(_named_address)], ...] = Field(
        default=(), max_length=64, description='Own addresses, each written "name = address"'
    )
    reserved: Annotated[
        Literal["refuse", "accept"],
        Loud("accept", "private and documentation addresses are admitted: for tests only"),
    ] = Field(default="refuse", description="What to do with addresses that are not public")
    targets: tuple[Target, ...] = Field(
        default=(), max_length=32, description="Where the list is applied"
    )

    @field_validator("targets")
    @classmethod
    def _targets_differ(cls, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        places = [place(target) for target in targets]
        if len(set(places)) < len(places):
            raise ValueError("must not hold the same port, file, name or object twice")
        return targets

    @field_validator("targets")
    @classmethod
    def _public_in_clouds(
        cls, targets: tuple[Target, ...], info: ValidationInfo
    ) -> tuple[Target, ...]:
        if info.data.get("reserved") == "accept" and any(isinstance(t, CLOUD) for t in targets):
            raise ValueError('must not hold a cloud\'s firewall while reserved is "accept"')
        return targets

    @field_validator("also_allow")
    @classmethod
    def _names_differ(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        if len({text.partition(" = ")[0] for text in found}) < len(found):
            raise ValueError("must have different names")
        return found


class GatewaySettings(Section):
    """The vendor's paths and the recordings API, for the business server."""

    listen: OptionalAddress = Field(
        default=written("127.0.0.1:8081"), description="Where it listens, as host:port; empty: off"
    )
    token: Secret = Field(
        default=written(""),
        description="As Bearer, or as the Basic password; required when not on loopback",
    )
    # pydantic's own `validate` is in the way of the setting's name
    validation: Literal["strict", "warn", "off"] = Field(
        default="strict",
        alias="validate",
        description="What becomes of a request that the vendor's reference does not allow",
    )

    @field_validator("token")
    @classmethod
    def _protected(cls, token: Secret, info: ValidationInfo) -> Secret:
        listen = info.data.get("listen")
        if listen and not listen.loopback and not token.get_secret_value():
            raise ValueError("is required: gateway.listen is not on loopback")
        return token


class RecordingsSettings(Section):
    """When to ask about a recording, when to believe it is over, when to stop it."""

    silence: Duration = Field(default=written("2m"), description="No event for this long: ask")
    confirm_after: Duration = Field(
        default=written("5s"), description="From the start of a recording to the first question"
    )
    end_after_404: Annotated[
        Duration, Within(at_least="90s", reason="the vendor's fail-over takes up to 90 s")
    ] = Field(
        default=written("100s"),
        description="How long the vendor must know no such task: then it is over",
    )
    upload_wait: Duration = Field(
        default=written("20m"),
        description="After an end without word of its files: how long to wait for that word",
    )
    upload_limit: Duration = Field(
        default=written("24h"),
        description="An upload that goes on for longer after the end is told as overdue",
    )
    stops_per_hour: Count = Field(
        default=600,
        ge=1,
        le=100_000,
        description="More stops within an hour are held back: rather something is wrong",
    )
    stop_policy: Literal["off", "owed"] = Field(
        default="owed",
        description="owed: stop what its owner asked to stop, or max_duration passed",
    )
    max_duration: OptionalDuration = Field(
        default=written(""), description="For recordings that give none; empty: without limit"
    )
    keep: Duration = Field(
        default=written("7d"), description="How long a closed recording stays in the ledger"
    )


class SchedulerSettings(Section):
    """The process that asks the vendor and changes firewalls; it faces nobody."""

    ops_listen: Address = Field(
        default=written("127.0.0.1:9102"), description="Where health and metrics are; never public"
    )
