"""Settings of the allow-list's targets, one class for each kind."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agora_sidecar.process.quantities import (
    Count,
    Duration,
    File,
    Flag,
    OptionalFile,
    Text,
    matching,
    written,
)
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

PrefixListId = Annotated[Text, matching(r"(pl-[0-9a-f]{8,17})?", "the list's id, pl-…")]
Region = Annotated[Text, matching(r"([a-z0-9-]{2,32})?", "a region such as eu-central-1")]
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


class PrefixListTarget(Section):
    """A customer-managed prefix list of AWS, for each family of addresses."""

    kind: Literal["aws-prefix-list"] = Field(description="A customer-managed prefix list of AWS")
    ipv4: PrefixListId = Field(
        default="", description="Id of the list of IPv4 addresses; it bears the tag agora-sidecar"
    )
    ipv6: PrefixListId = Field(default="", description="Id of the list of IPv6 addresses, likewise")
    region: Region = Field(default="", description="Its region; empty: where boto3 finds it")

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if not (self.ipv4 or self.ipv6):
            raise ValueError("ipv4, ipv6 or both must be set: without a list there is no place")
        return self


class SecurityGroupTarget(Section):
    """Rules of an AWS security group, one for each address."""

    kind: Literal["aws-security-group"] = Field(description="Rules of an AWS security group")
    group: Annotated[Text, matching(r"sg-[0-9a-f]{8,17}", "the group's id, sg-…")] = Field(
        description="Id of the group; of its rules only those with our mark are touched"
    )
    port: Port = Field(description="The TCP port that they open")
    max_rules: Count = Field(
        default=60, ge=1, le=1000, description="The account's quota of rules for each family"
    )
    region: Region = Field(default="", description="Its region; empty: where boto3 finds it")

    @field_validator("port")
    @classmethod
    def _not_a_login(cls, port: int) -> int:
        if port in LOGIN_PORTS:
            raise ValueError("must not be a port that people log in by")
        return port


CLOUD = (PrefixListTarget, SecurityGroupTarget)
"""Targets in which an address that is not public can only be a mistake."""

Target = Annotated[
    NftablesTarget | FileTarget | CommandTarget | PrefixListTarget | SecurityGroupTarget,
    Field(discriminator="kind"),
]
"""Where the allow-list is applied."""


def place(target: Target) -> str:
    """What no other target may be."""
    match target:
        case NftablesTarget():
            return f"sets {' '.join(target.fills)}" if target.fills else f"port {target.port}"
        case FileTarget():
            return f"file {target.path}"
        case CommandTarget():
            return f"command {target.name}"
        case PrefixListTarget():
            return f"prefix list {target.ipv4 or target.ipv6}"
        case SecurityGroupTarget():
            return f"group {target.group} port {target.port}"
