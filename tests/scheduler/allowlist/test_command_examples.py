"""The scripts of docs/targets.md, over stand-ins of what they call, through the suite of targets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from scheduler.allowlist.targets import Target
from scheduler.allowlist.targets.command import CommandTarget, Programs
from tests.scheduler.allowlist.contract import V6, A, B, TargetContract

DOCUMENT = Path(__file__).parents[3] / "docs" / "targets.md"
LEFT = """\
if [ -e "$here/left" ]; then
    left=$(cat "$here/left")
    [ "$left" -gt 0 ] || { echo "out of reach" >&2; exit 1; }
    echo $((left - 1)) >"$here/left"
fi
"""
GCLOUD = f"""\
#!/bin/sh
# compute firewall-rules describe NAME --format=json | update NAME --source-ranges=A,B --quiet
here=$(dirname "$0")/..
{LEFT}
rule=$here/rule-$4
case $3 in
describe) jq -Rn '{{name: "x", sourceRanges: [inputs]}}' <"$rule" ;;
update)
    given=${{5#--source-ranges=}}
    [ -n "$given" ] || given=0.0.0.0/0
    printf '%s\\n' "$given" | tr , '\\n' >"$rule"
    ;;
*) exit 2 ;;
esac
"""
CURL = f"""\
#!/bin/sh
# ... --data-urlencode type=T --data-urlencode cmd=XML
here=$(dirname "$0")/..
{LEFT}
for last; do :; done
[ "$(cat "$PANOS_KEY_FILE")" = 'header = "X-PAN-KEY: k"' ] || exit 22
each() {{ printf '%s' "$last" | grep -o 'entry ip="[^"]*"' | cut -d '"' -f 2; }}
case $last in
*'<show>'*)
    printf '<response status="success"><result>'
    while read -r ip; do printf '<entry ip="%s" from_agent="0" persistent="1"/>' "$ip"; done <"$here/tagged"
    printf '</result></response>\\n'
    exit 0
    ;;
*'<register>'*) each | cat - "$here/tagged" | sort -u >"$here/new" ;;
*'<unregister>'*) each >"$here/gone"; grep -vxFf "$here/gone" "$here/tagged" >"$here/new" || true ;;
esac
mv "$here/new" "$here/tagged"
printf '<response status="success"/>\\n'
"""


def script(heading: str) -> str:
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"### {heading}\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found, f"no script under {heading}"
    return found[1]


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class Example:
    """One script in its surroundings."""

    heading: str
    stands_in: dict[str, str]

    @pytest.fixture
    def target(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
        self.folder = tmp_path
        for name, text in self.stands_in.items():
            program(tmp_path / "bin" / name, text)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        self.prepare(tmp_path, monkeypatch)
        edge = str(program(tmp_path / "edge.sh", script(self.heading)))
        remove = str(program(tmp_path / "remove.sh", self.removal))
        programs = Programs(read=[edge, "read"], apply=[edge, "apply"], remove=[remove])
        return CommandTarget("edge", programs, form="json", within=20.0, shared=True)

    removal: str

    def prepare(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        raise NotImplementedError

    @contextmanager
    def broken_after(self, steps: int) -> Iterator[None]:
        left = self.folder / "left"
        left.write_text(str(steps))
        yield
        left.unlink()

    async def test_the_script_does_what_it_should(self, target: Target) -> None:
        assert await target.read() is None
        for wish in ({A: None, B: None}, {B: None, V6: None}, {V6: None}):
            await target.apply(wish)
            current = await target.read()
            assert current is not None
            assert set(current.admitted) == set(wish)
        await target.uninstall()
        assert await target.read() is None


class TestCloud(Example):
    heading = "Example: a cloud's command line"
    stands_in = {"gcloud": GCLOUD}  # noqa: RUF012
    removal = (
        '#!/bin/sh\nhere=$(dirname "$0")\n'
        'echo 127.0.0.1/32 >"$here/rule-agora-v4"\necho ::1/128 >"$here/rule-agora-v6"\n'
    )

    def prepare(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "rule-agora-v4").write_text("127.0.0.1/32\n")
        (folder / "rule-agora-v6").write_text("::1/128\n")

    async def test_a_family_without_an_address_never_becomes_everybody(
        self, target: Target
    ) -> None:
        """terraform-provider-google#4031, #6789, #20712: an empty list became 0.0.0.0/0."""
        await target.apply({ip_address("101.36.1.2"): None})
        assert (self.folder / "rule-agora-v6").read_text() == "::1/128\n"
        await target.apply({ip_address("2606:4700::1"): None})
        assert (self.folder / "rule-agora-v4").read_text() == "127.0.0.1/32\n"


class TestAppliance(Example):
    heading = "Example: an appliance"
    stands_in = {"curl": CURL}  # noqa: RUF012
    removal = '#!/bin/sh\n: >"$(dirname "$0")/tagged"\n'

    def prepare(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "tagged").touch()
        (folder / "key").write_text('header = "X-PAN-KEY: k"')
        monkeypatch.setenv("PANOS", "firewall.invalid")
        monkeypatch.setenv("PANOS_KEY_FILE", str(folder / "key"))


@pytest.mark.slow  # some hundred programs each
class TestCloudInFull(TestCloud, TargetContract):
    pass


@pytest.mark.slow
class TestApplianceInFull(TestAppliance, TargetContract):
    pass
