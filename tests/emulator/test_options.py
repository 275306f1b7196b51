from typing import Any

import pytest

from agora_sidecar.emulator.options import EmulatorError, EmulatorOptions, read_listen


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "localhost"}, "listen: 'localhost' is not an IP address"),
        ({"port": 70_000}, "listen: port 70000"),
        ({"callback": "127.0.0.1:80"}, "callback: '127.0.0.1:80' is not an http"),
        ({"callback": "ftp://x/"}, "callback: 'ftp://x/'"),
        ({"callback": "http://"}, "callback: 'http://'"),
        ({"callback": "http://[::1"}, "callback: 'http://"),
        ({"speed": 0.0}, "speed: 0.0"),
        ({"speed": float("nan")}, "speed: nan"),
        ({"speed": 1001.0}, "speed: 1001.0"),
        ({"sources": ()}, "sources: at least one"),
        ({"sources": ("127.0.0.1", "nowhere")}, "sources: 'nowhere' is not an IP address"),
        ({"sources": ("127.0.0.1", "127.0.0.1")}, "sources: the same address"),
        ({"published": 0}, "published:"),
        ({"numbering": "all"}, "numbering: 'all' is not one of recording, module"),
        ({"rotate_every": 0.0}, "rotate_every:"),
        ({"requests_per_second": 0.0}, "requests_per_second:"),
        ({"customer_id": "a:b"}, "customer-id: must not contain a colon"),
        ({"customer_id": ""}, "customer-id: must not be empty"),
        ({"secret": ""}, "secret: must not be empty"),
        ({"app_id": ""}, "app-id: must not be empty"),
    ],
)
def test_an_option_that_cannot_work_is_one_clear_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(EmulatorError) as caught:
        EmulatorOptions(**given)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_secrets_do_not_print() -> None:
    shown = repr(EmulatorOptions(secret="hidden-1", customer_secret="hidden-2"))

    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1:9400", ("127.0.0.1", 9400)),
        ("[::1]:0", ("::1", 0)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
    ],
)
def test_an_address_to_listen_on_is_read(text: str, where: tuple[str, int]) -> None:
    assert read_listen(text) == where


@pytest.mark.parametrize(
    "text", ["", "9400", "127.0.0.1", "127.0.0.1:", "x:1", "127.0.0.1:9e3", "127.0.0.1:-1"]
)
def test_anything_else_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(EmulatorError, match="is not ADDRESS:PORT"):
        read_listen(text)
