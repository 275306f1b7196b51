import json
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.allowlist.addresses import Address, in_order
from scheduler.allowlist.formats import COMMENT, FORMATS, Format, FormatError, from_template

V4, V6 = ip_address("101.36.1.2"), ip_address("2606:4700::1")
TRAEFIK = """\
# written by agora-sidecar; changes are overwritten
http:
  middlewares:
    agora:
      ipAllowList:
        sourceRange:
          - "127.0.0.1/32"
          - "${prefix}"
"""
COMMAS = """\
// written by agora-sidecar
var allowed = [
  "${address}"${comma}
];
"""
FAMILIES = """\
; written by agora-sidecar, $${not a name}, ${comma}
v4 ${address4}
v6 ${prefix6} ${address6}
"""
TEMPLATES = {"traefik": TRAEFIK, "commas": COMMAS, "families": FAMILIES}
ALL = FORMATS | {name: from_template(text) for name, text in TEMPLATES.items()}

addresses = st.one_of(
    st.builds(IPv4Address, st.integers(0, 2**32 - 1)),
    st.builds(IPv6Address, st.integers(0, 2**128 - 1)),
)
lists = st.lists(addresses, min_size=1, max_size=20, unique=True)


@pytest.mark.parametrize("form", ALL.values(), ids=ALL.keys())
@given(found=lists)
def test_what_is_written_is_read_back(form: Format, found: Sequence[Address]) -> None:
    text = form.write(found)
    assert set(form.read(text)) == set(found)
    assert form.is_whole(text)
    assert form.write(reversed(found)) == text


@pytest.mark.parametrize("form", ALL.values(), ids=ALL.keys())
@given(found=lists, cut=st.integers(1, 400), junk=st.text(max_size=20))
def test_a_text_that_was_cut_or_grew_is_not_taken_for_the_same_list(
    form: Format, found: Sequence[Address], cut: int, junk: str
) -> None:
    text = form.write(found)
    shorter = text[:-cut]
    assert not form.is_whole(shorter) or set(form.read(shorter)) < set(found)
    assert not form.is_whole(text + junk + "x\n")


@pytest.mark.parametrize("form", ALL.values(), ids=ALL.keys())
def test_nobody_is_never_written(form: Format) -> None:
    with pytest.raises(FormatError, match="refused"):
        form.write([])


def test_nginx_ends_with_deny_all_whatever_the_list() -> None:
    text = FORMATS["nginx"].write([V6, V4])
    assert text == f"{COMMENT}\nallow 101.36.1.2;\nallow 2606:4700::1;\ndeny all;\n"


def test_json_is_json() -> None:
    value = json.loads(FORMATS["json"].write([V6, V4]))
    assert value["addresses"] == ["101.36.1.2", "2606:4700::1"]


def test_a_template_repeats_its_lines_with_an_address() -> None:
    text = from_template(TRAEFIK).write([V4, V6])
    assert text.splitlines()[-3:] == [
        '          - "127.0.0.1/32"',
        '          - "101.36.1.2/32"',
        '          - "2606:4700::1/128"',
    ]
    assert from_template(COMMAS).write([V4, V6]) == (
        '// written by agora-sidecar\nvar allowed = [\n  "101.36.1.2",\n  "2606:4700::1"\n];\n'
    )


def test_a_template_may_tell_the_families_apart() -> None:
    assert from_template(FAMILIES).write([V4, V6]).splitlines() == [
        "; written by agora-sidecar, ${not a name}, ",
        "v4 101.36.1.2",
        "v6 2606:4700::1/128 2606:4700::1",
    ]


def test_a_template_with_one_family_refuses_a_list_with_both() -> None:
    form = from_template("# written by agora-sidecar\nonly ${address4}\n")
    assert "only 101.36.1.2" in form.write([V4])
    with pytest.raises(FormatError, match="would not name every address"):
        form.write(in_order([V4, V6]))


def test_an_address_of_the_template_is_nobody_of_the_list_but_may_be_on_it_too() -> None:
    form = from_template(TRAEFIK)
    assert form.read(form.write([V4])) == [V4]
    own = ip_address("127.0.0.1")
    assert form.read(form.write([own])) == [own]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "no line with"),
        ("# written by agora-sidecar\nallow all\n", "no line with"),
        ("# written by agora-sidecar\n${adress}\n", r"names \$\{adress\}; known are"),
        ("# written by agora-sidecar\n${}\n", r"names \$\{\}"),
        ("# our list\n${address}\n", "needs .written by agora-sidecar. in one of its first two"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(template: str, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        from_template(template)


@given(template=st.text(alphabet="${}addressprefixcomma46 \n", max_size=80), found=lists)
def test_a_template_of_nonsense_is_refused_or_keeps_every_promise(
    template: str, found: Sequence[Address]
) -> None:
    try:
        form = from_template(f"# written by agora-sidecar\n{template}")
        text = form.write(found)
    except FormatError:
        return
    assert set(form.read(text)) == set(found)
