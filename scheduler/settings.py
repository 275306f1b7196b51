"""The scheduler's own settings: the allow-list and its targets, the gateway, the recordings."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agora_sidecar.process.advice import Loud, Within
from agora_sidecar.process.quantities import (
    Address,
    Count,
    Duration,
    File,
    Flag,
    OptionalAddress,
    OptionalDuration,
    OptionalFile,
    Text,
    matching,
    written,
)
from agora_sidecar.process.secret import Secret
from agora_sidecar.process.settings import Section

LOGIN_PORTS = frozenset({22, 3389})
"""SSH and RDP: never filtered, whatever `protected_ports` says; nobody is locked out."""

SetName = Annotated[
    Text,
    matching(
        r"((ip|ip6|inet) [A-Za-z_][A-Za-z0-9_]{0,30} [A-Za-z_][A-Za-z0-9_]{0,30})?",
        "family, table and set, such as inet filter agora4",
    ),
]
Port = Annotated[Count, Field(ge=1, le=65_535)]
ApiPath = Annotated[Text, matching(r"(/[A-Za-z0-9._~-]+)+", "a path such as /v1/ncs/ip")]


Words = tuple[Text, ...]
"""A program and its arguments; no shell reads them."""
TargetName = Annotated[Text, matching(r"[a-z0-9-]{1,32}", "1 to 32 of a-z, 0-9 and -")]
_SOCKET_WORD = re.compile(r"[A-Za-z0-9/._-]+")
"""What HAProxy's socket takes as one word, whatever its quoting."""


def _absolute(path: Path | None) -> Path | None:
    if path is not None and not path.is_absolute():
        raise ValueError(
            "must be an absolute path: where a service is started from is nobody's plan"
        )
    return path


def _named_address(text: str) -> str:
    name, equals, address = text.partition("=")
    try:
        found = ip_address(address.strip())
    except ValueError:
        raise ValueError('must be "name = address" with one IPv4 or IPv6 address') from None
    if not equals or not name.strip():
        raise ValueError('must be "name = address": the name says whose it is')
    return f"{name.strip()} = {found}"


class NftablesTarget(Section):
    """The machine's own packet filter: one table and one port of it, ours alone."""

    kind: Literal["nftables"] = Field(description="The kernel's packet filter on this machine")
    protected_ports: tuple[Port, ...] = Field(
        default=(22, 3389), max_length=64, description="Ports that are never filtered"
    )
    port: Port = Field(description="The receiver's port as the vendor's packets are addressed")
    mode: Literal["observe", "enforce"] = Field(
        default="observe",
        description="observe: count who is not listed; enforce: drop their packets",
    )
    mark: int = Field(
        default=0,
        ge=0,
        le=0xFFFFFFFF,
        description="Bits set in the mark of listed packets, for your own rules; 0: none",
    )
    set4: SetName = Field(
        default="",
        description="Fill this set of yours instead of filtering, such as inet filter agora4",
    )
    set6: SetName = Field(default="", description="The same for IPv6")

    @property
    def fills(self) -> tuple[str, ...]:
        """The operator's sets that are filled; none: a table of our own is kept."""
        return tuple(name for name in (self.set4, self.set6) if name)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.fills and (self.mode != "observe" or self.mark):
            raise ValueError("mode and mark belong to our own table: with set4 or set6 leave them")
        return self

    @field_validator("port")
    @classmethod
    def _not_protected(cls, port: int, info: ValidationInfo) -> int:
        if port in LOGIN_PORTS or port in info.data.get("protected_ports", ()):
            raise ValueError("must not be a protected port: filtering it may lock you out")
        return port


class FileTarget(Section):
    """A file that a proxy or a script reads."""

    kind: Literal["file"] = Field(description="A file for a proxy or a script")
    path: Annotated[File, AfterValidator(_absolute)] = Field(
        description="The file that is replaced, in one rename"
    )
    format: Literal["plain", "json", "nginx", "haproxy", "template"] = Field(
        default="plain",
        description="plain, haproxy: one address a line; nginx: allow …; and at last deny all;",
    )
    template: Annotated[OptionalFile, AfterValidator(_absolute)] = Field(
        default=written(""), description="The template, for the format of this name"
    )
    check: Words = Field(
        default=(), max_length=64, description="Command that must succeed before the rename"
    )
    reload: Words = Field(
        default=(), max_length=64, description="Command that tells the reader to read it again"
    )
    haproxy_socket: Annotated[OptionalFile, AfterValidator(_absolute)] = Field(
        default=written(""),
        description="HAProxy's admin socket: it takes the list up in one step, without a reload",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.format == "template") != (self.template is not None):
            raise ValueError('template and format = "template" need each other')
        if self.haproxy_socket is None:
            return self
        if self.format != "haproxy":
            raise ValueError('haproxy_socket needs format = "haproxy"')
        if not _SOCKET_WORD.fullmatch(str(self.path)):
            raise ValueError("path must be letters, digits, / . _ and - only, for HAProxy's socket")
        return self


class CommandTarget(Section):
    """Any other firewall, read and written by the operator's programs."""

    kind: Literal["command"] = Field(description="The operator's own programs")
    name: TargetName = Field(description="Names it in logs, metrics and commands")
    read: Words = Field(
        min_length=1, max_length=64, description="Command that prints who is admitted now"
    )
    apply: Words = Field(
        min_length=1,
        max_length=64,
        description="Command that is given the list on its standard input, and makes it so",
    )
    dry_run: Words = Field(
        default=(),
        max_length=64,
        description="Command that is given the same before; a failure of it stops the change",
    )
    remove: Words = Field(
        default=(), max_length=64, description="Command that takes the list away, for uninstall"
    )
    format: Literal["plain", "json"] = Field(
        default="plain",
        description="How the list is written for them: one address a line, or one JSON object",
    )
    timeout: Annotated[Duration, Field(le=300)] = Field(
        default=written("30s"), description="How long each command may take"
    )
    shared: Flag = Field(
        default=True,
        description="Whether it is one firewall for several machines: only a leader writes then",
    )


Target = Annotated[NftablesTarget | FileTarget | CommandTarget, Field(discriminator="kind")]
"""Where the allow-list is applied."""


def _place(target: Target) -> str:
    """What no other target may be."""
    match target:
        case NftablesTarget():
            return f"port {target.port}"
        case FileTarget():
            return f"file {target.path}"
        case CommandTarget():
            return f"command {target.name}"


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
        places = [_place(target) for target in targets]
        if len(set(places)) < len(places):
            raise ValueError("must not hold the same port, file, name or object twice")
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
