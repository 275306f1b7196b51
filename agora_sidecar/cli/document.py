"""The whole configuration file: every section, the rules between them, what each process needs."""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from pydantic import Field, field_validator

from agora_sidecar.process.quantities import File, Listen, written
from agora_sidecar.process.settings import Check, Loaded, Section, SettingsError, load
from agora_sidecar.process.shape import Path, dotted, variable
from agora_sidecar.settings import (
    AgoraSettings,
    LoggingSettings,
    RedisSettings,
    SigningSecret,
    SourceSettings,
    StreamSettings,
)
from receiver.settings import ReceiverSettings
from scheduler.settings import (
    AllowlistSettings,
    GatewaySettings,
    NftablesTarget,
    RecordingsSettings,
    SchedulerSettings,
)

Process = Literal["receiver", "scheduler"]

_READS: dict[Process, frozenset[str]] = {
    "receiver": frozenset({"redis", "stream", "receiver", "sources", "logging"}),
    "scheduler": frozenset(
        {"redis", "stream", "agora", "allowlist", "gateway", "recordings", "scheduler", "logging"}
    ),
}
"""The sections each process uses; the secret files of the others may be closed to its user."""


class Document(Section):
    """One configuration file, for both processes."""

    data_dir: File = Field(
        default=written("/var/lib/agora-sidecar"),
        description="Directory of the spool, the last known good list and the audit",
    )
    redis: RedisSettings = Field(default_factory=RedisSettings)
    stream: StreamSettings = Field(default_factory=StreamSettings)
    receiver: ReceiverSettings = Field(default_factory=ReceiverSettings)
    sources: tuple[SourceSettings, ...] = Field(
        default=(), max_length=64, description="Who may send notifications, each with its secrets"
    )
    agora: AgoraSettings = Field(default_factory=AgoraSettings)
    allowlist: AllowlistSettings = Field(default_factory=AllowlistSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    recordings: RecordingsSettings = Field(default_factory=RecordingsSettings)
    scheduler: SchedulerSettings = Field(default_factory=SchedulerSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, found: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        if len({source.name for source in found}) < len(found):
            raise ValueError("must have different names")
        return found

    @property
    def effective_sources(self) -> tuple[SourceSettings, ...]:
        """The sources, or the one that `receiver.secret` is short for."""
        if not self.receiver.secret.get_secret_value():
            return self.sources
        secret = SigningSecret(label="default", value=self.receiver.secret)
        return (SourceSettings(name="default", secrets=(secret,)),)


def reads(process: Process) -> frozenset[str]:
    """The sections that a process uses."""
    return _READS[process]


def read_document(
    *, environ: Mapping[str, str], file: str = "", processes: Collection[Process] = ()
) -> Loaded[Document]:
    """The settings, checked for the processes that are to run (none: for nobody in particular).

    Raises:
        SettingsError: everything that is wrong or missing.
    """
    reads = frozenset[str]().union(*(_READS[process] for process in processes))
    demands = [_DEMANDS[process] for process in processes]
    return load(
        Document,
        environ=environ,
        file=file,
        reads=reads if processes else None,
        checks=(_conflicts, *demands),
    )


def for_receiver(document: Document) -> None:
    """See that a document has what the receiver cannot do without.

    Raises:
        SettingsError: everything that is missing.
    """
    _demand(document, "receiver")


def for_scheduler(document: Document) -> None:
    """See that a document has what the scheduler cannot do without.

    Raises:
        SettingsError: everything that is missing.
    """
    _demand(document, "scheduler")


def _demand(document: Document, process: Process) -> None:
    missing = [f"{dotted(path)}: {text}" for path, text in _DEMANDS[process](document)]
    if missing:
        raise SettingsError(missing)


def _receiver_needs(document: Document) -> Iterator[tuple[Path, str]]:
    if not document.effective_sources:
        path = ("receiver", "secret")
        yield path, f"is missing; set it, {variable(path)} or [[sources]]: nobody could sign"


def _scheduler_needs(document: Document) -> Iterator[tuple[Path, str]]:
    agora = document.agora
    for name, value in (
        ("app_id", agora.app_id),
        ("customer_id", agora.customer_id),
        ("customer_secret", agora.customer_secret.get_secret_value()),
    ):
        if not value:
            path = ("agora", name)
            yield path, f"is missing; set it or {variable(path)}: the vendor is asked with it"


_DEMANDS: dict[Process, Check[Document]] = {
    "receiver": _receiver_needs,
    "scheduler": _scheduler_needs,
}


def _conflicts(document: Document) -> Iterator[tuple[Path, str]]:
    """Values that are right by themselves and wrong together."""
    if document.sources and document.receiver.secret.get_secret_value():
        yield ("receiver", "secret"), "must not be beside [[sources]]; keep one of them"
    ours: tuple[tuple[str, Listen | None], ...] = (
        ("receiver.ops_listen", document.receiver.ops_listen),
        ("scheduler.ops_listen", document.scheduler.ops_listen),
        ("gateway.listen", document.gateway.listen),
    )
    if document.gateway.listen == document.scheduler.ops_listen and document.gateway.listen.port:
        yield ("gateway", "listen"), "must differ from scheduler.ops_listen"
    for index, target in enumerate(document.allowlist.targets):
        for name, listen in ours:
            if isinstance(target, NftablesTarget) and listen and listen.port == target.port:
                path = ("allowlist", "targets", index, "port")
                yield path, f"must not be the port of {name}, which is not the vendor's"
