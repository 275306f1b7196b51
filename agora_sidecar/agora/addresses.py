"""The address list's answer -> what its hosts say, or why not.

`GET /v1/ncs/ip` (the reference) and `/v2/ncs/ip` (the notification pages) have the same body:
`{"data": {"service": {"hosts": [{"primaryIP": "192.0.2.1"}]}}}`. Only `primaryIP` matters, the
vendor says; prose spells it `PrimaryIP`, so case is ignored. Whether a value is an address that may
be let in is not decided here.
"""

from typing import Any

import msgspec

from agora_sidecar.agora.errors import AddressListError

MAX_HOSTS = 10_000
"""More is not a list of servers; tens are expected."""


def read_hosts(body: bytes) -> tuple[Any, ...]:
    """The `primaryIP` of each host, of whatever type; None where a host has none.

    Raises:
        AddressListError: not JSON, not of this shape, without hosts, or with far too many.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AddressListError("not_json", str(error)[:200]) from error
    for name in ("data", "service", "hosts"):
        if not isinstance(value, dict) or name not in value:
            raise AddressListError("schema", f"there is no data.service.hosts: {name} is missing")
        value = value[name]
    if not isinstance(value, list):
        raise AddressListError("schema", "data.service.hosts is not a list")
    if not value:
        raise AddressListError("empty", "data.service.hosts is empty")
    if len(value) > MAX_HOSTS:
        raise AddressListError("too_many", f"{len(value)} hosts; at most {MAX_HOSTS} are read")
    return tuple(_primary(host) for host in value)


def _primary(host: Any) -> Any:
    if not isinstance(host, dict):
        return None
    return next((value for name, value in host.items() if name.lower() == "primaryip"), None)
