"""The catalogue of event types and what their details say, decoded leniently.

Docs-Source `event-types/cloud-recording.mdx`; the fact sheet's sections 2.3 and 2.4.
"""

CLOUD_RECORDING = 3
"""productId of Cloud Recording (and of extension services, and of the Cloud Transcoder)."""

NAMES = {11: "session_exit"}


def event_name(product_id: int, event_type: int) -> str | None:
    """The vendor's `msgName` of this event type, or None where none is documented."""
    return NAMES.get(event_type) if product_id == CLOUD_RECORDING else None
