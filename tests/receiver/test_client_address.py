"""Whom a request is from, whatever its headers claim."""

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from receiver.client_address import MAX_HOPS, MAX_LENGTH, Address, TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8:aa::/48", "192.0.2.1"])
PROXY = "10.0.0.1"
CLIENT = "198.51.100.7"


def headers(*lines: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(lines)


def behind(*lines: str, name: str = "X-Forwarded-For", peer: str | None = PROXY) -> str | None:
    found = PROXIES.client_address(peer, headers(*((name, line) for line in lines)))
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("peer", "known"),
    [
        (CLIENT, CLIENT),
        ("::ffff:198.51.100.7", CLIENT),
        ("2001:db8::9%eth0", "2001:db8::9"),
        ("", None),
        (None, None),
        ("a socket", None),
    ],
)
def test_a_peer_that_is_no_trusted_proxy_is_the_client(peer: str | None, known: str | None) -> None:
    assert behind("192.0.2.66", peer=peer) == known
    assert behind("for=192.0.2.66", name="Forwarded", peer=peer) == known


@pytest.mark.parametrize("peer", [PROXY, "::ffff:10.0.0.1", "2001:db8:aa::1%eth0"])
def test_a_proxy_that_names_nobody_is_the_client(peer: str) -> None:
    assert behind(peer=peer) == str(ip_address(peer.removeprefix("::ffff:").partition("%")[0]))


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (CLIENT, CLIENT),
        (f" {CLIENT}\t", CLIENT),
        (f'"{CLIENT}"', CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:DB8:0::9]", "2001:db8::9"),
        ("[2001:db8::9]:443", "2001:db8::9"),
        ('"[2001:db8::9%eth0]:443"', "2001:db8::9"),
        ("fe80::1%25eth0", "fe80::1"),
        ("::ffff:198.51.100.7", CLIENT),
        ("[::ffff:c633:6407]:1", CLIENT),
        (f"192.0.2.66, {CLIENT}", CLIENT),
        (f"192.0.2.66,{CLIENT},10.9.9.9, [2001:db8:aa::7]:80", CLIENT),
        (f"{CLIENT}, ::ffff:10.9.9.9", CLIENT),
        (f"garbage, {CLIENT}", CLIENT),
        ("10.1.1.1, 192.0.2.1", "10.1.1.1"),
        ("unknown", None),
        ("_hidden", None),
        (f"{CLIENT}, unknown", None),
        (f"{CLIENT}, unknown, 10.1.1.1", None),
        (f"{CLIENT},", None),
        ("", None),
        ("198.51.100.07", None),
        ("198.51.100.7:123456", None),
        ("198.51.100.7%eth0", None),
        ("[198.51.100.7]", None),
        ("[2001:db8::9", None),
        ("2001:db8:::9", None),
        ("198.51.100.7/32", None),
        ('"198.51.100.7', None),
        ("１９８.51.100.7", None),  # digits of another script
    ],
)
def test_x_forwarded_for_is_walked_from_the_right(line: str, known: str | None) -> None:
    assert behind(line) == known


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (f"for={CLIENT}", CLIENT),
        (f'For="{CLIENT}:4711";proto=https;by=10.0.0.1', CLIENT),
        ('proto=http ; for="[2001:db8::9]:_obfuscated"', "2001:db8::9"),
        (f"for=192.0.2.66, for={CLIENT};host=a, for=10.2.2.2", CLIENT),
        (f'for="open, for={CLIENT}', CLIENT),
        ("for=10.1.1.1, for=192.0.2.1", "10.1.1.1"),
        ("for=unknown", None),
        ("for=_hidden", None),
        ("proto=https", None),
        (CLIENT, None),
        (f"for={CLIENT};for={CLIENT}", None),
        (f"for={CLIENT};", None),
        (f"for = {CLIENT}", None),
        (f'for="{CLIENT}', None),
        (f'for="{CLIENT[:-1]}\\{CLIENT[-1]}"', None),
        ("", None),
    ],
)
def test_forwarded_is_walked_from_the_right(line: str, known: str | None) -> None:
    assert behind(line, name="Forwarded") == known


@pytest.mark.parametrize("more", ["", ";x=", r";x=\"", r";x=\"y\"", ";x=y;for=192.0.2.66"])
def test_a_client_gets_nothing_out_of_quotes_that_a_proxy_quotes_in_turn(more: str) -> None:
    line = f'for={CLIENT};host="a, for=192.0.2.66{more}";proto="https"'

    assert behind(line, name="Forwarded") is None


def test_several_lines_are_one_list_in_their_order() -> None:
    assert behind("192.0.2.66", f"{CLIENT}, 10.3.3.3", "10.2.2.2") == CLIENT


@pytest.mark.parametrize(
    ("forwarded_for", "forwarded", "known"),
    [
        (CLIENT, f"for={CLIENT}", CLIENT),
        (f"192.0.2.66, {CLIENT}", f'for="{CLIENT}:80"', CLIENT),
        (CLIENT, "for=192.0.2.66", None),
        ("192.0.2.66", f"for={CLIENT}", None),
        (CLIENT, "", None),
        (CLIENT, "garbage", None),
        ("10.1.1.1", f"for={CLIENT}", None),
        ("unknown", "for=unknown", None),
    ],
)
def test_two_headers_that_disagree_say_nothing(
    forwarded_for: str, forwarded: str, known: str | None
) -> None:
    both = headers(("x-forwarded-for", forwarded_for), ("forwarded", forwarded))
    found = PROXIES.client_address(PROXY, both)

    assert found == (None if known is None else ip_address(known))


def test_what_a_client_puts_in_front_does_not_hide_it() -> None:
    assert behind("x," * MAX_LENGTH + CLIENT) == CLIENT
    assert behind("10.1.1.1," * MAX_HOPS + CLIENT) == CLIENT


def test_more_is_not_looked_at_and_nobody_is_known_then() -> None:
    assert behind(CLIENT + ",10.1.1.1" * (MAX_HOPS - 1)) == CLIENT
    assert behind(CLIENT + ",10.1.1.1" * MAX_HOPS) is None
    assert behind("," + ",".join(["10.1.1.1"] * MAX_HOPS)) is None
    assert behind("1" + CLIENT, " " * (MAX_LENGTH - len(CLIENT) - 1)) is None
    assert behind(f"{CLIENT}{' ' * MAX_LENGTH}") is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "'' must be an address or a network"),
        ("proxy.internal", "'proxy.internal' must be an address or a network such as"),
        ("10.0.0.0/33", "'10.0.0.0/33' must be"),
        ("10.0.0.0/255.0.0.0", "'10.0.0.0/255.0.0.0' must be"),
        ("10.0.0.0/", "'10.0.0.0/' must be"),
        ("fe80::1%eth0", "'fe80::1%eth0' must be"),
        ("10.0.0.1/8", "'10.0.0.1/8' has bits behind its /8; write 10.0.0.0/8"),
        ("0.0.0.0/0", "'0.0.0.0/0' trusts everybody"),
        ("::/0", "'::/0' trusts everybody"),
        ("::ffff:0.0.0.0/96", "trusts everybody"),
        ("x" * 1000, "'xxx"),
    ],
)
def test_what_is_neither_address_nor_network_is_refused_by_name(text: str, rule: str) -> None:
    with pytest.raises(ValueError) as caught:
        TrustedProxies(["10.0.0.1", text])

    assert str(caught.value).startswith(rule) or rule == "trusts everybody"
    assert len(str(caught.value)) < 200


def test_an_ipv4_network_written_as_ipv6_is_the_same_network() -> None:
    proxies = TrustedProxies(["::ffff:10.0.0.0/104"])

    assert proxies.covers(ip_address("10.255.0.1"))
    assert proxies.covers(IPv6Address("::ffff:10.255.0.1"))
    assert not proxies.covers(ip_address("11.0.0.1"))
    assert not proxies.covers(ip_address("::1"))


# Properties

addresses = st.ip_addresses()
trusted = st.one_of(
    st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="2001:db8:aa::/48")
)
nodes = st.one_of(
    addresses.map(str),
    trusted.map(str),
    st.ip_addresses(v=4).map(lambda a: f"{a}:80"),
    st.ip_addresses(v=6).map(lambda a: f'"[{a}]:80"'),
    st.ip_addresses(v=4).map(lambda a: f"::ffff:{a}"),
    st.sampled_from(["unknown", "_x", "", '"', "\\", ";", "for=", ",", "%", "[", "::"]),
    st.text(max_size=20),
)
lines = st.lists(nodes, max_size=40).map(",".join)
pairs = st.lists(nodes.map(lambda node: f"for={node}"), max_size=40).map(", ".join)
requests = st.lists(
    st.tuples(st.sampled_from(["X-Forwarded-For", "Forwarded"]), st.one_of(lines, pairs)),
    max_size=4,
)
peers = st.one_of(st.none(), addresses.map(str), trusted.map(str), st.text(max_size=20))


@given(peers, requests)
def test_nothing_that_arrives_raises(peer: str | None, request: list[tuple[str, str]]) -> None:
    found = PROXIES.client_address(peer, headers(*request))

    assert found is None or not getattr(found, "scope_id", None)
    assert found is None or not getattr(found, "ipv4_mapped", None)


@given(addresses, requests)
def test_who_is_not_trusted_cannot_be_anybody_else(
    peer: Address, request: list[tuple[str, str]]
) -> None:
    if not PROXIES.covers(peer):
        plain = getattr(peer, "ipv4_mapped", None) or peer
        assert PROXIES.client_address(str(peer), headers(*request)) == plain


@given(st.ip_addresses(network="198.51.0.0/16"), lines, st.sampled_from(["member", "line"]))
def test_behind_a_proxy_that_appends_nobody_can_be_anybody_else(
    client: Address, invented: str, new: str
) -> None:
    appended = [invented, str(client)] if new == "line" else [f"{invented}, {client}"]
    found = PROXIES.client_address(PROXY, headers(*(("X-Forwarded-For", v) for v in appended)))

    assert found == client


@given(st.ip_addresses(network="198.51.0.0/16"), st.one_of(lines, pairs), requests)
def test_behind_a_proxy_that_keeps_one_header_the_other_one_gains_nothing(
    client: Address, invented: str, more: list[tuple[str, str]]
) -> None:
    others = [line for line in more if line[0] == "X-Forwarded-For"]
    request = headers(*others, ("Forwarded", f'{invented},for={client};proto="https"'))

    assert PROXIES.client_address(PROXY, request) in {client, None}


@given(st.lists(st.one_of(addresses, trusted), min_size=1, max_size=MAX_HOPS))
def test_a_trusted_proxy_is_the_client_only_where_all_are(hops: list[Address]) -> None:
    found = PROXIES.client_address(
        PROXY, headers(("X-Forwarded-For", ", ".join(str(hop) for hop in hops)))
    )

    assert found is not None
    assert PROXIES.covers(found) == all(PROXIES.covers(hop) for hop in hops)


@given(st.lists(st.one_of(addresses, trusted), min_size=1, max_size=MAX_HOPS))
def test_both_headers_are_read_alike(hops: list[Address]) -> None:
    quoted = [f'"[{hop}]"' if hop.version == 6 else str(hop) for hop in hops]
    one = headers(("X-Forwarded-For", ",".join(quoted)))
    other = headers(("Forwarded", ",".join(f"for={hop}" for hop in quoted)))

    assert PROXIES.client_address(PROXY, one) == PROXIES.client_address(PROXY, other)
