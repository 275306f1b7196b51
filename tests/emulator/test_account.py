from typing import Any

import pytest

from agora_sidecar.emulator.account import Path
from agora_sidecar.emulator.answers import Refusal
from tests.emulator.virtual import STORAGE, Vendor, body, code, page

UIDS = [str(n) for n in range(1, 34)]


def refusal_of(start: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        start()
    return caught.value


def test_another_app_id_is_invalid_in_the_gateways_shape() -> None:
    vendor = Vendor()

    refused = refusal_of(lambda: vendor.account.query(Path("other"), 0.0))

    assert (refused.status, refused.body) == (400, {"message": "appid is invalid"})


@pytest.mark.parametrize("scene", [0, 2])
def test_a_channel_that_cannot_exist_is_refused_and_a_pages_label_is_not(scene: int) -> None:
    vendor = Vendor()

    assert code(refusal_of(lambda: vendor.acquire(cname="é", scene=scene))) == (400, 401)
    assert vendor.acquire(cname="é", scene=1)


@pytest.mark.parametrize("hours", [0, 721, "72", None, True, 1.5])
def test_acquire_refuses_wrong_hours_as_the_vendor_does(hours: Any) -> None:
    refused = refusal_of(lambda: Vendor().acquire(resourceExpiredHour=hours))

    assert refused.body == {"code": 2, "reason": "Acquire: invalid resourceExpiredHour value!"}


def test_a_start_parameter_is_not_looked_at_until_the_start_which_must_be_equal() -> None:
    vendor = Vendor()
    nonsense = vendor.acquire(startParameter="nonsense")
    right = vendor.acquire(uid="2", startParameter={"token": "t", "storageConfig": STORAGE})

    refused = refusal_of(lambda: vendor.start(nonsense))

    assert refused.body == {"code": 2, "reason": "request_hash mismatch!"}
    assert vendor.start(right, uid="2", token="t")


def test_the_same_channel_and_uid_cannot_be_recorded_twice_at_a_time() -> None:
    vendor = Vendor()
    running = vendor.record()
    second = vendor.acquire()

    assert code(refusal_of(lambda: vendor.start(second))) == (400, 53)
    vendor.record(uid="2")
    vendor.run(30.0)
    running.stop(async_stop=True)
    vendor.run(10.0)
    assert vendor.start(second)


@pytest.mark.parametrize(
    ("mode", "scene", "request_", "named"),
    [
        ("mix", 0, {"storageConfig": None}, "storageConfig"),
        ("mix", 0, {"storageConfig": {**STORAGE, "vendor": "1"}}, "vendor"),
        ("mix", 0, {"storageConfig": {**STORAGE, "fileNamePrefix": "a"}}, "fileNamePrefix"),
        ("mix", 0, {"storageConfig": {**STORAGE, "fileNamePrefix": ["a/b"]}}, "fileNamePrefix"),
        ("mix", 0, {"storageConfig": {**STORAGE, "fileNamePrefix": ["a" * 128]}}, "128"),
        ("mix", 0, {"recordingConfig": 7}, "recordingConfig"),
        ("mix", 0, {"recordingConfig": {"maxIdleTime": 4}}, "maxIdleTime"),
        ("mix", 0, {"recordingConfig": {"maxIdleTime": "30"}}, "maxIdleTime"),
        ("mix", 0, {"recordingConfig": {"maxIdleTime": 2_592_001}}, "maxIdleTime"),
        ("mix", 0, {"recordingConfig": {"subscribeAudioUids": UIDS}}, "subscribeAudioUids"),
        (
            "mix",
            0,
            {"recordingConfig": {"subscribeAudioUids": ["1"], "unSubscribeAudioUids": ["2"]}},
            "only one of",
        ),
        (
            "mix",
            0,
            {"recordingConfig": {"subscribeVideoUids": ["1"], "unsubscribeVideoUids": ["2"]}},
            "only one of",
        ),
        ("mix", 0, {"recordingConfig": {"streamTypes": 1, "subscribeAudioUids": ["1"]}}, "audio"),
        ("mix", 0, {"recordingConfig": {"streamTypes": 0, "subscribeVideoUids": ["1"]}}, "video"),
        ("mix", 0, {"recordingConfig": {"decryptionMode": 1}}, "secret"),
        ("mix", 0, {"recordingConfig": {"decryptionMode": 7, "secret": "s"}}, "salt"),
        (
            "mix",
            0,
            {"recordingConfig": {"transcodingConfig": {"mixedVideoLayout": 3}}},
            "layoutConfig",
        ),
        ("mix", 0, {"recordingFileConfig": {"avFileType": ["mp4"]}}, "avFileType"),
        ("mix", 0, {"recordingFileConfig": {"avFileType": "hls"}}, "avFileType"),
        ("mix", 0, {"snapshotConfig": {"fileType": ["jpg"]}}, "snapshotConfig"),
        ("individual", 0, {"recordingFileConfig": {"avFileType": ["hls", "mp4"]}}, "avFileType"),
        ("individual", 0, {"snapshotConfig": {"fileType": ["png"]}}, "fileType"),
        (
            "individual",
            0,
            {"snapshotConfig": {"fileType": ["jpg"]}, "recordingConfig": {"streamTypes": 0}},
            "snapshotConfig",
        ),
        ("individual", 2, {}, "appsCollection"),
        (
            "individual",
            0,
            {"appsCollection": {"combinationPolicy": "postpone_transcoding"}},
            "scene 2",
        ),
        ("web", 0, page(), "scene 1"),
        ("mix", 1, {}, "scene 1"),
        ("web", 1, {}, "services not selected!"),
        ("web", 1, {"extensionServiceConfig": {"extensionServices": []}}, "services not selected!"),
        ("web", 1, page(videoWidth=1921, videoHeight=1920), "videoWidth"),
        ("web", 1, page(readyTimeout=1.5), "readyTimeout"),
        ("web", 1, page(readyTimeout=-1), "readyTimeout"),
        ("web", 1, page(url="ftp://x"), "url"),
        ("web", 1, page(maxRecordingHour=721), "maxRecordingHour"),
    ],
)
def test_a_start_against_the_rules_is_refused_by_name_and_can_be_repeated(
    mode: str, scene: int, request_: dict[str, Any], named: str
) -> None:
    vendor = Vendor()
    resource_id = vendor.acquire(scene=scene)

    refused = refusal_of(lambda: vendor.start(resource_id, mode=mode, **request_))

    assert code(refused) == (400, 2)
    assert named in refused.body["reason"]
    assert not vendor.truths


@pytest.mark.parametrize(
    ("mode", "request_", "named"),
    [
        ("web", {"streamSubscribe": {}}, "streamSubscribe"),
        ("mix", {"webRecordingConfig": {"onhold": True}}, "webRecordingConfig"),
        ("web", {"rtmpPublishConfig": {"outputs": []}}, "does not push"),
        ("mix", {"rtmpPublishConfig": {"outputs": []}}, "does not push"),
        ("web", {"webRecordingConfig": {"onhold": 1}}, "onhold"),
        ("mix", {"storageConfig": {"vendor": 1}}, "storageConfig"),
        (
            "mix",
            {
                "streamSubscribe": {
                    "audioUidList": {"subscribeAudioUids": ["1"], "unSubscribeAudioUids": ["2"]}
                }
            },
            "only one of",
        ),
        (
            "mix",
            {
                "streamSubscribe": {
                    "videoUidList": {"subscribeVideoUids": ["1"], "unsubscribeVideoUids": ["2"]}
                }
            },
            "only one of",
        ),
    ],
)
def test_an_update_that_its_mode_does_not_have_is_refused(
    mode: str, request_: dict[str, Any], named: str
) -> None:
    vendor = Vendor()
    running = vendor.record(mode=mode, **(page() if mode == "web" else {}))

    refused = refusal_of(lambda: running.update(**request_))

    assert code(refused) == (400, 2)
    assert named in refused.body["reason"]


def test_an_update_may_refresh_the_storage_and_nothing_else() -> None:
    vendor = Vendor()
    running = vendor.record()

    assert running.update(storageConfig={**STORAGE, "stsToken": "t"})
    assert running.update()


@pytest.mark.parametrize(
    "layout",
    [
        {"backgroundColor": "red"},
        {"mixedVideoLayout": 4},
        {"layoutConfig": [{"x_axis": 0, "y_axis": 0, "width": 1.5, "height": 1}]},
        {"layoutConfig": [{"x_axis": 0, "y_axis": 0, "width": 1, "height": 1}] * 18},
        {"backgroundConfig": [{"uid": "1"}]},
    ],
)
def test_a_layout_that_cannot_be_read_has_a_code_of_its_own(layout: dict[str, Any]) -> None:
    running = Vendor().record()

    assert code(refusal_of(lambda: running.update_layout(**layout))) == (400, 1028)


def test_a_layout_is_for_composite_recordings() -> None:
    vendor = Vendor()
    running = vendor.record(mode="individual")

    assert code(refusal_of(running.update_layout)) == (400, 2)


@pytest.mark.parametrize("call", ["update", "update_layout", "stop"])
def test_whoever_changes_a_recording_names_its_channel_and_uid(call: str) -> None:
    vendor = Vendor()
    running = vendor.record()
    running.uid = "2"

    assert code(refusal_of(getattr(running, call))) == (400, 432)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b'{"cname":"\xff"}',
        b"[" * 10_000,
        b'{"cname":' + b"9" * 5000 + b"}",
        b"<html>",
        body("", "1", {}),
        body("c", "0", {}),
        body("c", "-1", {}),
        body("c", "4294967296", {}),
        body("c", "12\n", {}),
        body("c", "user", {}),
        body("ü" * 513, "1", {}),
        body("c", "1", []),
        body("c", "1", "{}"),
        b'{"cname":"c","uid":1,"clientRequest":{}}',
        b'{"Cname":"c","uid":"1","clientRequest":{}}',
    ],
)
def test_a_body_of_another_form_is_refused(data: bytes) -> None:
    vendor = Vendor()

    refused = refusal_of(lambda: vendor.account.acquire(Path("app"), data, 0.0))

    assert code(refused) == (400, 2)
    assert 0 < len(refused.body["reason"]) <= 300


def test_unknown_fields_pass() -> None:
    vendor = Vendor()
    resource_id = vendor.acquire(tomorrow=[1])

    assert vendor.start(resource_id, tomorrow={"x": 1}, recordingConfig={"tomorrow": 1})


@pytest.mark.parametrize(("types", "named"), [(0, "videoUidList"), (1, "audioUidList")])
def test_an_update_subscribes_only_to_what_the_start_did(types: int, named: str) -> None:
    running = Vendor().record(recordingConfig={"streamTypes": types})
    other = "audioUidList" if named == "videoUidList" else "videoUidList"

    refused = refusal_of(lambda: running.update(streamSubscribe={named: {}}))

    assert code(refused) == (400, 2)
    assert named in refused.body["reason"]
    assert running.update(streamSubscribe={other: {}})
