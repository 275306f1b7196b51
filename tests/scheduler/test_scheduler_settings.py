from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scheduler.settings import (
    AllowlistSettings,
    CommandTarget,
    FileTarget,
    GatewaySettings,
    NftablesTarget,
    RecordingsSettings,
    SchedulerSettings,
    Target,
)


def targets(*items: dict[str, Any]) -> tuple[Target, ...]:
    return AllowlistSettings.model_validate({"targets": list(items)}).targets


def nftables(**values: Any) -> dict[str, Any]:
    return {"kind": "nftables", "port": 8080} | values


def file(**values: Any) -> dict[str, Any]:
    return {"kind": "file", "path": "/etc/nginx/agora-allow.conf"} | values


def command(**values: Any) -> dict[str, Any]:
    return {"kind": "command", "name": "edge", "read": ["edge"], "apply": ["edge"]} | values


def prefix_list(**values: Any) -> dict[str, Any]:
    return {"kind": "aws-prefix-list", "ipv4": "pl-0123456789abcdef0"} | values


def security_group(**values: Any) -> dict[str, Any]:
    return {"kind": "aws-security-group", "group": "sg-0123456789abcdef0", "port": 443} | values


def test_a_scheduler_needs_no_settings_of_its_own() -> None:
    allowlist, recordings = AllowlistSettings(), RecordingsSettings()

    assert (allowlist.poll_interval, allowlist.grace) == (7200.0, 93_600.0)
    assert allowlist.ip_paths == ("/v1/ncs/ip", "/v2/ncs/ip")
    assert allowlist.reserved == "refuse"
    assert allowlist.targets == ()
    assert (recordings.silence, recordings.end_after_404) == (120.0, 100.0)
    assert recordings.max_duration is None
    assert SchedulerSettings().ops_listen.loopback


def test_targets_are_told_apart_by_their_kind() -> None:
    filter_, written = targets(nftables(), file(format="nginx", reload=["nginx", "-s", "reload"]))

    assert filter_ == NftablesTarget(kind="nftables", port=8080)
    assert isinstance(written, FileTarget)
    assert written.path == Path("/etc/nginx/agora-allow.conf")
    assert written.reload == ("nginx", "-s", "reload")


def test_a_packet_filter_only_observes_until_enforcing_is_written() -> None:
    (target,) = targets(nftables())

    assert isinstance(target, NftablesTarget)
    assert target.mode == "observe"


@pytest.mark.parametrize("port", [22, 3389, 0, -1, 65_536, "8080", True, 1.5, None])
def test_a_port_that_cannot_be_or_would_lock_people_out_is_refused(port: object) -> None:
    with pytest.raises(ValidationError):
        targets(nftables(port=port))


def test_the_login_ports_stay_protected_whatever_is_written() -> None:
    with pytest.raises(ValidationError, match="lock you out"):
        targets(nftables(port=22, protected_ports=[]))


def test_further_ports_can_be_protected() -> None:
    with pytest.raises(ValidationError, match="lock you out"):
        targets(nftables(port=8443, protected_ports=[8443]))


@pytest.mark.parametrize("path", ["", "relative", "~/x", "/a\0b", "/a\nb", 5])
def test_a_file_that_depends_on_where_we_started_is_refused(path: object) -> None:
    with pytest.raises(ValidationError):
        targets(file(path=path))


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "aws-prefix-list"},
        {"kind": "command"},
        {"kind": ""},
        {},
        {"kind": "nftables"},
        {"kind": "file"},
        nftables(path="/x"),
        file(port=1),
        file(format="yaml"),
        file(reload="nginx -s reload"),
        file(format="template"),
        file(template="/etc/template"),
        file(format="template", template="relative"),
        file(haproxy_socket="/run/haproxy.sock"),
        file(format="haproxy", haproxy_socket="haproxy.sock"),
        file(format="haproxy", haproxy_socket="/run/haproxy.sock", path="/etc/a b;c"),
        command(name="Edge one"),
        command(read=[]),
        command(apply=[]),
        command(apply="edge"),
        command(apply=["a\nb"]),
        command(format="nginx"),
        command(timeout="1h"),
        command(timeout=5),
        command(shared="yes"),
        prefix_list(ipv4=""),
        prefix_list(ipv4="com.amazonaws.eu-central-1.s3"),
        prefix_list(ipv6="sg-0123456789abcdef0"),
        prefix_list(region="eu central"),
        security_group(group="callbacks"),
        security_group(port=22),
        security_group(port=0),
        security_group(max_rules=0),
    ],
)
def test_a_target_of_another_kind_or_shape_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        targets(target)


def test_a_command_is_shared_until_it_is_said_otherwise() -> None:
    (target,) = targets(command())

    assert isinstance(target, CommandTarget)
    assert (target.shared, target.format, target.timeout) == (True, "plain", 30.0)
    assert (target.dry_run, target.remove) == ((), ())


def test_a_template_and_a_socket_of_haproxy_are_files_of_this_machine() -> None:
    template, haproxy = targets(
        file(format="template", template="/etc/allow.template"),
        file(format="haproxy", path="/etc/haproxy/a.acl", haproxy_socket="/run/haproxy.sock"),
    )

    assert isinstance(template, FileTarget)
    assert isinstance(haproxy, FileTarget)
    assert template.template == Path("/etc/allow.template")
    assert haproxy.haproxy_socket == Path("/run/haproxy.sock")


@pytest.mark.parametrize("cloud", [prefix_list(), security_group()])
def test_a_cloud_never_gets_addresses_that_are_not_public(cloud: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="while reserved is"):
        AllowlistSettings.model_validate({"reserved": "accept", "targets": [cloud]})
    assert AllowlistSettings.model_validate({"targets": [cloud]}).targets
    assert AllowlistSettings.model_validate({"reserved": "accept", "targets": [file()]}).targets


@pytest.mark.parametrize("twice", [nftables(), file(), command(), prefix_list(), security_group()])
def test_two_targets_for_one_place_are_refused(twice: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="twice"):
        targets(twice, twice)


def test_an_address_of_ones_own_has_a_name() -> None:
    allowlist = AllowlistSettings(also_allow=("probe=203.0.113.7", "six = 2001:DB8::1"))

    assert allowlist.also_allow == ("probe = 203.0.113.7", "six = 2001:db8::1")


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.7",
        "= 203.0.113.7",
        "probe = 0.0.0.0/0",
        "probe = 10.0.0.0/8",
        "probe =",
        "p = x",
        "",
        "probe = 203.0.113.07",
        "a = b = 203.0.113.7",
        "p = fe80::1%eth0\n",
    ],
)
def test_what_is_no_name_with_one_address_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must"):
        AllowlistSettings(also_allow=(text,))


def test_two_addresses_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="different names"):
        AllowlistSettings(also_allow=("a = 203.0.113.7", "a = 203.0.113.8"))


@pytest.mark.parametrize(
    "values",
    [
        {"ip_paths": []},
        {"ip_paths": ["v1/ncs/ip"]},
        {"ip_paths": ["/x?y"]},
        {"ip_paths_use": "any"},
        {"max_entries": 0},
        {"grace": "-1h"},
        {"poll_interval": ""},
        {"reserved": "maybe"},
    ],
)
def test_other_nonsense_about_the_list_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AllowlistSettings.model_validate(values)


def test_a_gateway_beyond_loopback_needs_a_token() -> None:
    with pytest.raises(ValidationError, match=r"gateway\.listen is not on loopback"):
        GatewaySettings.model_validate({"listen": "0.0.0.0:8081"})
    with pytest.raises(ValidationError, match=r"gateway\.listen is not on loopback"):
        GatewaySettings.model_validate({"listen": "gateway:8081", "token": ""})

    gateway = GatewaySettings.model_validate({"listen": "0.0.0.0:8081", "token": "t"})

    assert gateway.token.get_secret_value() == "t"


@pytest.mark.parametrize("listen", ["", "127.0.0.1:8081", "[::1]:8081", "localhost:8081"])
def test_a_gateway_that_is_off_or_on_loopback_needs_none(listen: str) -> None:
    gateway = GatewaySettings.model_validate({"listen": listen, "validate": "off"})

    assert (gateway.listen is None) == (listen == "")
    assert gateway.validation == "off"


@pytest.mark.parametrize(
    "values", [{"silence": "0s"}, {"keep": ""}, {"stop_policy": "always"}, {"silence": 120}]
)
def test_nonsense_about_recordings_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RecordingsSettings.model_validate(values)
