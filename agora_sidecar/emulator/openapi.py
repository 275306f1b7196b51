"""The emulator as an OpenAPI document: bodies from the forms, answers from one table.

Served at `/emulator/openapi.json`; `python -m agora_sidecar.emulator.openapi` prints it, for
`docs/`.
"""

import sys
from typing import Any

import msgspec

from agora_sidecar import __version__
from agora_sidecar.emulator import documented
from agora_sidecar.emulator.forms import AcquireBody, LayoutBody, StartBody, StopBody, UpdateBody
from agora_sidecar.emulator.service import APP, REGIONS, START, TASK

FORMS = {
    "acquire": AcquireBody,
    "start": StartBody,
    "update": UpdateBody,
    "updateLayout": LayoutBody,
    "stop": StopBody,
}
SUMMARIES = {
    "acquire": "A resource id for one start within five minutes",
    "start": "A recording begins",
    "query": "How a recording is",
    "update": "Other subscriptions, a pause, another CDN address",
    "updateLayout": "Another layout in place of the whole old one",
    "stop": "A recording ends",
    "ncsIp": "Where callbacks come from",
    "ncsIpV2": "Where callbacks come from",
}
PATHS = {
    f"{APP}/acquire": ("post", "acquire"),
    f"{START}/start": ("post", "start"),
    f"{TASK}/query": ("get", "query"),
    f"{TASK}/update": ("post", "update"),
    f"{TASK}/updateLayout": ("post", "updateLayout"),
    f"{TASK}/stop": ("post", "stop"),
    "/v1/ncs/ip": ("get", "ncsIp"),
    "/v2/ncs/ip": ("get", "ncsIpV2"),
}
MODES = {"type": "string", "enum": ["individual", "mix", "web"]}
ABOUT = (
    "The offline Agora of agora-sidecar: the vendor's Cloud Recording API and address list, and the"
    " emulator's own paths. Callbacks: docs/emulator.md."
)


def document(app_id: str = "emulator-app") -> dict[str, Any]:
    """The whole document, of an emulator that serves this app id."""
    forms, components = msgspec.json.schema_components(
        FORMS.values(), ref_template="#/components/schemas/{name}"
    )
    bodies = dict(zip(FORMS, forms, strict=True))
    vendor = {
        path: {method: _operation(path, name, body=bodies.get(name), app_id=app_id)}
        for path, (method, name) in PATHS.items()
    }
    regions = [region.removeprefix("/") for region in REGIONS if region]
    return {
        "openapi": "3.1.0",
        "info": {"title": "agora-sidecar emulator", "version": __version__, "description": ABOUT},
        "servers": [
            {"url": "/"},
            {"url": "/{region}", "variables": {"region": {"enum": regions, "default": "eu"}}},
        ],
        "security": [{"customer": []}],
        "paths": {**vendor, **documented.CONTROL_PATHS},
        "components": {
            "securitySchemes": {"customer": {"type": "http", "scheme": "basic"}},
            "schemas": {**components, **documented.SCHEMAS},
        },
    }


def _operation(path: str, name: str, *, body: dict[str, Any] | None, app_id: str) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    schemas = {"app_id": {"enum": [app_id]}, "resource_id": text, "sid": text, "mode": MODES}
    parameters = [
        {"name": parameter, "in": "path", "required": True, "schema": schema}
        for parameter, schema in schemas.items()
        if f"{{{parameter}}}" in path
    ]
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": ["vendor"],
        "summary": SUMMARIES[name],
        "parameters": parameters,
        "responses": documented.responses(name),
    }
    if body is not None:
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def text() -> str:
    """The document as it is shipped."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
