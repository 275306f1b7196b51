"""What the emulator answers, as schemas for its OpenAPI document."""

from typing import Any

from agora_sidecar.emulator.script import ENDPOINTS
from agora_sidecar.emulator.studio.catalogue import NAMES as NAMES_OF_EVENTS
from agora_sidecar.emulator.studio.deaths import DEATHS
from agora_sidecar.emulator.studio.transcoder import EVENTS

Schema = dict[str, Any]


def _object(required: str = "", /, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
NAMES = {"cname": STRING, "uid": STRING, "resourceId": STRING}
PUBLISHED: Schema = {"enum": ["connecting", "publishing", "onhold", "disconnected"]}
FILE = _object(
    "fileName trackType uid mixedAllUser isPlayable sliceStartTime",
    fileName=STRING,
    trackType={"enum": ["audio", "video", "audio_and_video"]},
    uid=STRING,
    mixedAllUser=BOOLEAN,
    isPlayable=BOOLEAN,
    sliceStartTime=INTEGER,
)
PAGE_FILE = _object("filename sliceStartTime", filename=STRING, sliceStartTime=INTEGER)
SERVICE_PAYLOAD = _object(
    fileList=_array(PAGE_FILE),
    onhold=BOOLEAN,
    state={"enum": ["init", "inProgress", "exit"]},
    uploadingStatus={"enum": ["uploaded", "backuped", "unknown"]},
    outputs=_array(_object("rtmpUrl status", rtmpUrl=STRING, status=PUBLISHED)),
)
SERVICE_STATE = _object(
    "serviceName",
    serviceName={"enum": ["web_recorder_service", "rtmp_publish_service", "upload_service"]},
    payload=SERVICE_PAYLOAD,
    playload=SERVICE_PAYLOAD,
)
FILES: dict[str, Schema] = {
    "fileListMode": {"enum": ["string", "json"]},
    "fileList": {"oneOf": [STRING, _array(FILE)]},
    "extensionServiceState": _array(SERVICE_STATE),
}
SCHEMAS: dict[str, Schema] = {
    "Acquired": _object("cname uid resourceId", **NAMES),
    "Started": _object("cname uid resourceId sid", **NAMES, sid=STRING),
    "Queried": _object(
        "cname uid resourceId sid serverResponse",
        **NAMES,
        sid=STRING,
        serverResponse=_object("status", status=INTEGER, sliceStartTime=INTEGER, **FILES),
    ),
    "Stopped": _object(
        "cname uid resourceId sid serverResponse",
        **NAMES,
        sid=STRING,
        serverResponse=_object("", uploadingStatus=STRING, **FILES),
    ),
    "Addresses": _object(
        "data",
        data=_object(
            "service",
            service=_object("hosts", hosts=_array(_object("primaryIP", primaryIP=STRING))),
        ),
    ),
    "GatewayRefusal": _object("message", message=STRING),
    "ServiceRefusal": _object("code reason", code=INTEGER, reason=STRING),
    "Refusal": {"anyOf": [_ref("GatewayRefusal"), _ref("ServiceRefusal")]},
    "Unusable": {"anyOf": [_object("error", error=STRING), _ref("ServiceRefusal")]},
    "Anything": {"type": "object"},
}

ANSWERS = {
    "acquire": "Acquired",
    "start": "Started",
    "query": "Queried",
    "update": "Started",
    "updateLayout": "Started",
    "stop": "Stopped",
    "ncsIp": "Addresses",
    "ncsIpV2": "Addresses",
}
"""The schema of each endpoint's 200."""

REFUSALS = {
    "acquire": {400: "codes 2, 401, 406, or an invalid app id", 500: "codes 500, 501, 504"},
    "start": {
        201: "code 7: started before",
        206: "code 65: not completed",
        400: "codes 2, 53, 406, 432, 433, 1001, or an invalid app id",
        500: "codes 62, 502",
    },
    "query": {206: "code 65", 400: "code 2, or an invalid app id", 504: "code 62"},
    "update": {206: "code 65", 400: "codes 2, 432, or an invalid app id", 504: "code 62"},
    "updateLayout": {
        206: "code 65",
        400: "codes 2, 432, 1028, or an invalid app id",
        504: "code 62",
    },
    "stop": {
        206: "codes 50, 65, 435",
        400: "codes 2, 49, 432, or an invalid app id",
        504: "code 62",
    },
    "ncsIp": {500: "on demand"},
    "ncsIpV2": {500: "on demand"},
}
"""What each endpoint answers besides what the gateway does, by HTTP status."""
GATEWAY = {
    401: "no credentials, or wrong ones",
    404: "no route; or code 404: no such recording, or none any more",
    429: "too fast",
}


_BODY = {"cname": "$response.body#/cname", "uid": "$response.body#/uid"}
_STORAGE = {"vendor": 1, "region": 0, "bucket": "b", "accessKey": "k", "secretKey": "s"}
_RECORDING = {
    "app_id": "$request.path.app_id",
    "resource_id": "$response.body#/resourceId",
    "sid": "$response.body#/sid",
    "mode": "$request.path.mode",
}


def _link(operation: str, parameters: Schema, request: Schema | None = None) -> Schema:
    link: Schema = {"operationId": operation, "parameters": parameters}
    return link if request is None else {**link, "requestBody": {**_BODY, "clientRequest": request}}


LINKS: dict[str, Schema] = {
    "acquire": {
        "start": _link(
            "start",
            {
                "app_id": "$request.path.app_id",
                "resource_id": "$response.body#/resourceId",
                "mode": "mix",
            },
            {"storageConfig": _STORAGE},
        )
    },
    "start": {
        "query": _link("query", _RECORDING),
        "update": _link("update", _RECORDING, {}),
        "updateLayout": _link("updateLayout", _RECORDING, {"mixedVideoLayout": 1}),
        "stop": _link("stop", _RECORDING, {"async_stop": True}),
    },
}
"""What may follow each endpoint's 200, with what it gave."""


def responses(endpoint: str) -> Schema:
    """Everything that an endpoint answers."""
    refusals = {**REFUSALS[endpoint], **GATEWAY}
    done = _response("done", ANSWERS[endpoint])
    if endpoint in LINKS:
        done["links"] = LINKS[endpoint]
    return {
        "200": done,
        **{str(status): _response(text, "Refusal") for status, text in sorted(refusals.items())},
    }


def _response(description: str, schema: str) -> Schema:
    content = {"application/json": {"schema": _ref(schema)}}
    return {"description": description, "content": content}


def _control(
    name: str, summary: str, *, body: Schema | None = None, parameters: tuple[Schema, ...] = ()
) -> Schema:
    operation: Schema = {
        "operationId": name,
        "tags": ["emulator"],
        "summary": summary,
        "security": [],
        "parameters": list(parameters),
        "responses": {
            "200": _response("done", "Anything"),
            "400": _response("it cannot be done; why", "Unusable"),
            "404": _response("no route", "GatewayRefusal"),
        },
    }
    if body is not None:
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(name: str, where: str, schema: Schema) -> Schema:
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


SID = _parameter("sid", "path", {"type": "string", "minLength": 1})
ASKED = (
    _parameter("endpoint", "query", STRING),
    _parameter("sid", "query", STRING),
    _parameter("limit", "query", {"type": "integer", "minimum": 0}),
)
EVENT = _object(
    "eventType",
    eventType={"enum": sorted([*NAMES_OF_EVENTS, *EVENTS])},
    sid=STRING,
    details={"type": "object"},
)
DEATH = _object("death", death={"enum": sorted(DEATHS)})
LINE = _object(
    "endpoint",
    endpoint={"enum": list(ENDPOINTS)},
    status={"type": "integer", "minimum": 200, "maximum": 599},
    body=STRING,
    contentType={"type": "string", "pattern": "^[a-z]+/[a-z.+-]+$"},
    times={"type": "integer", "minimum": 1, "maximum": 1_000_000},
)
PUBLISHER = _object("cname present", cname=STRING, present=BOOLEAN)

CONTROL_PATHS: dict[str, Schema] = {
    "/emulator/openapi.json": {"get": _control("showDocument", "This document")},
    "/emulator/faults": {
        "get": _control("showFaults", "The faults in force"),
        "post": _control("setFaults", "Some faults set anew", body={"type": "object"}),
    },
    "/emulator/journal": {"get": _control("showJournal", "What was sent, how recordings are")},
    "/emulator/requests": {
        "get": _control("showRequests", "The last calls and their answers", parameters=ASKED)
    },
    "/emulator/recordings/{sid}": {
        "get": _control("showRecording", "Everything of one recording", parameters=(SID,))
    },
    "/emulator/recordings/{sid}/failover": {
        "post": _control("failOver", "Its worker is lost", parameters=(SID,))
    },
    "/emulator/recordings/{sid}/death": {
        "post": _control("kill", "It dies", body=DEATH, parameters=(SID,))
    },
    "/emulator/events": {"post": _control("say", "An event is told", body=EVENT)},
    "/emulator/script": {
        "post": _control("addLine", "The next answers word for word", body=LINE),
        "delete": _control("clearScript", "Nothing is answered word for word any more"),
    },
    "/emulator/rotate": {"post": _control("rotate", "The next source addresses")},
    "/emulator/check": {"post": _control("check", "The console's check of a callback URL")},
    "/emulator/publisher": {
        "post": _control("setPublisher", "Whether anybody publishes", body=PUBLISHER)
    },
}
"""The emulator's own paths."""
