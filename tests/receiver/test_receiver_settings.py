from typing import Any

import pytest
from pydantic import ValidationError

from agora_sidecar.process.quantities import Listen
from agora_sidecar.settings import (
    AgoraSettings,
    RedisSettings,
    SigningSecret,
    SourceSettings,
    StreamSettings,
)
from receiver.settings import ReceiverSettings


def settings(**values: Any) -> ReceiverSettings:
    return ReceiverSettings(**values)


def secret(**values: Any) -> dict[str, Any]:
    return {"label": "2026-11", "value": "s3cret"} | values


def test_a_receiver_needs_no_settings_of_its_own() -> None:
    receiver = settings()

    assert receiver.listen == Listen("0.0.0.0", 8080)
    assert receiver.ops_listen == Listen("127.0.0.1", 9101)
    assert receiver.max_body == 262_144
    assert (receiver.ack_deadline, receiver.hedge_after) == (8.0, 2.0)
    assert receiver.max_age is None
    assert receiver.durability == "disk"
    assert receiver.secret.get_secret_value() == ""


@pytest.mark.parametrize("path", ["/ncs", "/a/b-c_d.e~f", "/NCS2"])
def test_a_path_is_one_that_an_url_can_name(path: str) -> None:
    assert settings(path=path).path == path


@pytest.mark.parametrize(
    "path", ["", "/", "ncs", "/ncs/", "//", "/a//b", "/../b", "/{x}", "/a b", "/a?b", "/a\0"]
)
def test_a_path_that_a_router_would_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match=r"must (be a path|not contain)"):
        settings(path=path)


@pytest.mark.parametrize("text", ["512B", "1GiB", "0KiB", 262_144])
def test_a_body_limit_out_of_reason_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        settings(max_body=text)


def test_an_event_is_hedged_before_its_deadline() -> None:
    assert settings(ack_deadline="100ms", hedge_after="50ms").hedge_after == 0.05
    with pytest.raises(ValidationError, match="hedge_after must be shorter than ack_deadline"):
        settings(ack_deadline="2s")


def test_the_public_and_the_ops_port_differ_unless_the_system_chooses_them() -> None:
    with pytest.raises(ValidationError, match="listen and ops_listen must differ"):
        settings(listen="127.0.0.1:1", ops_listen="127.0.0.1:1")
    assert settings(listen="127.0.0.1:0", ops_listen="127.0.0.1:0").listen.port == 0


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "a/b", "a_b", "x" * 33, "ä", "a\n", "default\0", 5]
)
def test_a_source_name_that_cannot_be_part_of_a_path_and_a_key_is_refused(name: object) -> None:
    with pytest.raises(ValidationError):
        SourceSettings.model_validate({"name": name, "secrets": [secret()]})


def test_a_source_trusts_the_strong_signature_alone_and_has_one_path_by_default() -> None:
    source = SourceSettings.model_validate({"name": "a-1", "secrets": [secret()]})

    assert (source.accept_sha1, source.redundant) == (False, False)


def test_a_source_without_a_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="secrets"):
        SourceSettings.model_validate({"name": "a", "secrets": []})


def test_secrets_of_a_source_are_told_apart_by_their_labels() -> None:
    with pytest.raises(ValidationError, match="must have different labels"):
        SourceSettings.model_validate({"name": "a", "secrets": [secret(), secret(value="other")]})


def test_a_secret_has_a_time() -> None:
    found = SigningSecret.model_validate(
        secret(not_before="2026-11-01T00:00:00Z", not_after="2026-12-01T00:00:00+01:00")
    )

    assert found.not_before == 1_793_491_200.0
    assert found.not_after == 1_796_079_600.0
    assert SigningSecret.model_validate(secret()).not_after is None


def test_a_secret_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="not_before must be earlier than not_after"):
        SigningSecret.model_validate(
            secret(not_before="2026-12-01T00:00:00Z", not_after="2026-11-01T00:00:00Z")
        )


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://u:p@h:6379/3?client_name=x",
        "rediss://h:1",
        "unix:///run/redis.sock",
        "redis://[::1]",
    ],
)
def test_redis_is_named_by_an_address(url: str) -> None:
    assert RedisSettings(url=url).url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:6379",
        "http://h",
        "redis://",
        "redis:///0",
        "redis://h:0",
        "redis://h:99999",
        "unix://",
        "redis://[x",
        "redis://h\n",
        "REDIS",
    ],
)
def test_what_is_no_address_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="must"):
        RedisSettings(url=url)


@pytest.mark.parametrize("prefix", ["", "a b", "{ncs}", "a:b", "x" * 33])
def test_a_prefix_that_would_break_keys_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="must be 1 to 32"):
        RedisSettings(prefix=prefix)


@pytest.mark.parametrize("values", [{"shards": 0}, {"max_entries": 0}, {"max_entries": 10**30}])
def test_numbers_of_the_stream_have_bounds(values: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=r"less|greater"):
        StreamSettings.model_validate(values)


@pytest.mark.parametrize(
    "url", ["https://api.agora.io", "http://127.0.0.1:9400", "http://[::1]:1", "http://localhost"]
)
def test_the_vendor_is_asked_over_https_or_on_this_machine(url: str) -> None:
    assert AgoraSettings(base_urls=(url + "/",)).base_urls == (url,)


@pytest.mark.parametrize(
    "url",
    [
        "http://emulator:9400",
        "ftp://h",
        "api.agora.io",
        "https://",
        "https://u:p@h",
        "https://h?x=1",
        "https://h:0",
        "https://h:x",
        "https://[x",
        "",
        "https://h#f",
    ],
)
def test_an_address_of_the_vendor_that_would_leak_or_lead_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"must .* \(number 2\)"):
        AgoraSettings(base_urls=("https://api.agora.io", url))


def test_plain_http_elsewhere_must_be_asked_for() -> None:
    agora = AgoraSettings(base_urls=("http://emulator:9400",), allow_http=True)

    assert agora.base_urls == ("http://emulator:9400",)


@pytest.mark.parametrize("rate", [0, -1, 1e9, "8", True])
def test_a_rate_that_is_no_positive_number_is_refused(rate: object) -> None:
    with pytest.raises(ValidationError):
        AgoraSettings.model_validate({"requests_per_second": rate})
