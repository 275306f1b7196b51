"""Resource ids: one per acquire, for one start within 5 minutes (pure).

Source: the Cloud Recording RESTful API reference, acquire; codes 432 and 433 from the vendor's
`common-errors.md` of 2023.
"""

from collections import OrderedDict
from dataclasses import dataclass

from agora_sidecar.emulator.answers import (
    already_started,
    expired_resource,
    other_resource,
    unknown_resource,
)

LIFETIME = 300.0
"""Seconds in which a resource id must be used."""
MAX_RESOURCES = 10_000
"""Given out and remembered; the oldest is forgotten first, so that nobody can fill the memory."""


@dataclass(slots=True)
class Resource:
    """One resource id and what it is bound to."""

    cname: str
    uid: str
    expires: float
    started: bool = False


class Resources:
    """All resource ids; `now` counts the vendor's seconds."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Resource] = OrderedDict()

    def add(self, resource_id: str, *, cname: str, uid: str, now: float) -> None:
        """Give out a resource id."""
        self._known[resource_id] = Resource(cname, uid, now + LIFETIME)
        if len(self._known) > MAX_RESOURCES:
            self._known.popitem(last=False)

    def find(self, resource_id: str, *, cname: str, uid: str, now: float) -> Resource:
        """The resource that a start may use; the caller marks it `started`.

        Raises:
            Refusal: unknown (1001), bound to others (432), started (7) or too old (433).
        """
        resource = self._known.get(resource_id)
        if resource is None:
            raise unknown_resource()
        if (resource.cname, resource.uid) != (cname, uid):
            raise other_resource()
        if resource.started:
            raise already_started()
        if now >= resource.expires:
            raise expired_resource()
        return resource
