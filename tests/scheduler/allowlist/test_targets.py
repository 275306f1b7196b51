import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from scheduler.allowlist.formats import COMMENT
from scheduler.allowlist.targets import Target, TargetError
from scheduler.allowlist.targets.file import EDITED, UNREAD, FileTarget, Reader
from tests.fakes.memory_target import MemoryTarget
from tests.scheduler.allowlist.contract import TargetContract

A, B = ip_address("101.36.1.2"), ip_address("2606:4700::1")


class TestMemory(TargetContract):
    @pytest.fixture
    def target(self) -> Target:
        return MemoryTarget()


class TestMemoryThatKeepsNoTime(TargetContract):
    @pytest.fixture
    def target(self) -> Target:
        return MemoryTarget(timed=False)


FORMS = {
    "plain": {},
    "json": {},
    "nginx": {},
    "haproxy": {},
    "template": {"template": "; written by agora-sidecar\nallow ${prefix}\n"},
}


@pytest.mark.parametrize("form", FORMS)
class TestFile(TargetContract):
    @pytest.fixture
    def target(self, tmp_path: Path, form: str) -> Target:
        self.folder = tmp_path / "lists"
        self.folder.mkdir()
        (self.folder / "theirs.conf").write_text("allow 10.0.0.1;\n")
        template = tmp_path / "template"
        if text := FORMS[form].get("template"):
            template.write_text(text)
        script = tmp_path / "step"
        script.write_text('#!/bin/sh\n[ ! -e "$0.broken" ] || [ "$1" = check ] && exit 0; exit 1\n')
        self.broken = tmp_path / "step.broken"
        script.chmod(0o755)
        return FileTarget(
            self.folder / "list",
            form=form,
            template=template if form == "template" else None,
            reader=Reader(check=[str(script), "check"], reload=[str(script), "reload"]),
        )

    async def others(self) -> object:
        return (self.folder / "theirs.conf").read_text()

    @contextmanager
    def broken_after(self, steps: int) -> Iterator[None]:
        if steps == 0:
            self.broken.touch()
        yield
        self.broken.unlink(missing_ok=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "allow.conf"


async def test_a_plain_file_has_one_address_a_line(path: Path) -> None:
    await FileTarget(path, form="plain").apply({B: None, A: 5.0})
    assert path.read_text() == f"{COMMENT}\n101.36.1.2\n2606:4700::1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


async def test_an_nginx_file_always_ends_with_deny_all(path: Path) -> None:
    await FileTarget(path, form="nginx").apply({A: None, B: None})
    assert path.read_text() == f"{COMMENT}\nallow 101.36.1.2;\nallow 2606:4700::1;\ndeny all;\n"


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("deny all;\n", ""),
        lambda text: text.replace("deny all;", "allow all;\ndeny all;"),
        lambda text: text + "allow 0.0.0.0/0;\n",
    ],
)
async def test_what_somebody_edited_is_seen(path: Path, edit: object) -> None:
    target = FileTarget(path, form="nginx")
    await target.apply({A: None})
    path.write_text(edit(path.read_text()))  # type: ignore[operator]
    current = await target.read()
    assert current is not None
    assert current.form == EDITED
    await target.apply({A: None})
    current = await target.read()
    assert current is not None
    assert current.form == "nginx"


async def test_a_file_that_is_not_ours_is_never_overwritten(path: Path) -> None:
    path.write_text("allow 10.0.0.1;\n")
    target = FileTarget(path, form="nginx")
    for act in (target.read(), target.apply({A: None}), target.uninstall()):
        with pytest.raises(TargetError, match="not ours; move it away"):
            await act
    assert path.read_text() == "allow 10.0.0.1;\n"


async def test_the_file_before_is_kept(path: Path) -> None:
    target = FileTarget(path, form="plain")
    await target.apply({A: None})
    await target.apply({B: None})
    assert "101.36.1.2" in path.with_name("allow.conf.previous").read_text()


async def test_a_first_file_of_another_user_is_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:  # as fs.protected_hardlinks does
        raise PermissionError(1, "Operation not permitted")

    path.write_text("# written by agora-sidecar\ndeny all;\n")
    monkeypatch.setattr(os, "link", refused)
    await FileTarget(path, form="nginx").apply({A: None})
    assert "allow 101.36.1.2;" in path.read_text()
    assert "allow" not in path.with_name("allow.conf.previous").read_text()


async def test_a_check_that_fails_leaves_the_old_file_in_force(path: Path) -> None:
    await FileTarget(path, form="plain").apply({A: None})
    script = "import sys; print('syntax error near', sys.argv[1]); sys.exit(3)"
    checked = FileTarget(
        path, form="plain", reader=Reader(check=[sys.executable, "-c", script, "{}"])
    )
    with pytest.raises(TargetError, match=r"exited with 3: syntax error near .*\.allow\.conf\.new"):
        await checked.apply({B: None})
    assert "101.36.1.2" in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["allow.conf"]


async def test_a_check_sees_the_new_file_and_a_reload_the_final_one(path: Path) -> None:
    said = path.with_name("said")
    script = f"import sys; open({str(said)!r}, 'a').write(sys.argv[1] + chr(10))"
    command = [sys.executable, "-c", script, "{}"]
    await FileTarget(path, form="plain", reader=Reader(check=command, reload=command)).apply(
        {A: None}
    )
    assert said.read_text().split() == [str(path.with_name(".allow.conf.new")), str(path)]


async def test_a_reload_that_fails_is_an_error(path: Path) -> None:
    for command, why in ((["false"], "exited with 1"), (["no-such-program"], "cannot be run")):
        with pytest.raises(TargetError, match=why):
            await FileTarget(path, form="plain", reader=Reader(reload=command)).apply({A: None})


async def test_a_reload_that_failed_is_owed_until_one_succeeds(path: Path) -> None:
    with pytest.raises(TargetError, match="exited with 1"):
        await FileTarget(path, form="nginx", reader=Reader(reload=["false"])).apply({A: None})
    target = FileTarget(path, form="nginx", reader=Reader(reload=["true"]))  # as after a restart
    current = await target.read()
    assert current is not None
    assert current.form == UNREAD
    await target.apply({A: None})
    current = await target.read()
    assert current is not None
    assert current.form == "nginx"


DIES = """
import asyncio, os, sys
from ipaddress import ip_address
from pathlib import Path
from scheduler.allowlist.targets.file import FileTarget, Reader

path, last = Path(sys.argv[1]), int(sys.argv[2])
seen = 0

def hook(event, args):
    global seen
    if any(str(path.parent) in str(arg) for arg in args):
        if seen == last:
            os._exit(9)
        seen += 1

target = FileTarget(path, form="nginx", reader=Reader(reload=["true", "{}"]))
sys.addaudithook(hook)
asyncio.run(target.apply({ip_address("101.36.1.3"): None}))
"""


async def test_killed_at_any_step_the_file_is_whole_and_the_next_start_puts_it_right(
    path: Path,
) -> None:
    """The process really ends at each file, link, rename and program that it is about to touch."""
    target = FileTarget(path, form="nginx", reader=Reader(reload=["true", "{}"]))
    c = ip_address("101.36.1.3")
    for step in range(100):
        await target.apply({A: None})
        arguments = [sys.executable, "-c", DIES, str(path), str(step)]
        ended = subprocess.run(arguments, env=os.environ | {"PYTHONPATH": "."}, check=False)
        current = await target.read()
        assert current is not None
        assert path.read_text().endswith("deny all;\n")
        assert set(current.admitted) in ({A}, {c})
        if set(current.admitted) == {c} and ended.returncode:
            assert current.form == UNREAD  # a reload is owed, and not forgotten
        await target.apply({c: None})
        current = await target.read()
        assert current is not None
        assert (set(current.admitted), current.form) == ({c}, "nginx")
        if ended.returncode == 0:
            assert step > 5
            return
    pytest.fail("it never came to its end")


async def test_an_empty_file_is_nobodys(path: Path) -> None:
    """HAProxy and nginx want a file to be there when they start."""
    path.touch()
    target = FileTarget(path, form="haproxy")
    assert await target.read() is None
    await target.apply({A: None})
    assert path.read_text() == f"{COMMENT}\n101.36.1.2\n"


async def test_a_template_that_is_gone_or_wrong_changes_nothing(path: Path) -> None:
    template = path.with_name("template")
    template.write_text("# written by agora-sidecar\nallow ${address}\n")
    target = FileTarget(path, form="template", template=template)
    await target.apply({A: None})
    before = path.read_text()
    for text, why in (
        ("# written by agora-sidecar\nallow ${adress}\n", r"names \$\{adress\}"),
        ("allow ${address}\n", "needs"),
    ):
        template.write_text(text)
        with pytest.raises(TargetError, match=why):
            await target.apply({B: None})
    template.write_bytes(b"\xff")
    with pytest.raises(TargetError, match="not UTF-8"):
        await target.read()
    template.unlink()
    with pytest.raises(TargetError, match="cannot be read: No such file"):
        await target.apply({B: None})
    assert path.read_text() == before


async def test_a_template_that_changed_is_a_difference(path: Path) -> None:
    template = path.with_name("template")
    template.write_text("# written by agora-sidecar\nallow ${address}\n")
    target = FileTarget(path, form="template", template=template)
    await target.apply({A: None})
    template.write_text("# written by agora-sidecar\npermit ${address}\n")
    current = await target.read()
    assert current is not None
    assert (set(current.admitted), current.form) == ({A}, EDITED)


async def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    target = FileTarget(tmp_path / "missing" / "list", form="plain")
    assert await target.read() is None
    with pytest.raises(TargetError, match="cannot be written: No such file or directory"):
        await target.apply({A: None})


async def test_a_folder_in_the_files_place_is_one_clear_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(TargetError, match="cannot be read: Is a directory"):
        await FileTarget(path, form="plain").read()


async def test_a_doctor_says_what_is_wrong_with_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    target = FileTarget(folder / "list", form="plain")
    (remark,) = await target.examine()
    assert (remark.kind, remark.text) == ("problem", f"{folder} cannot be written")
    folder.mkdir()
    assert await target.examine() == []
    folder.chmod(0o777)
    (remark,) = await target.examine()
    assert (remark.kind, remark.text) == ("warning", f"{folder} can be written by everybody")
    folder.chmod(0o1777)
    assert await target.examine() == []


async def test_a_doctor_asks_haproxy(tmp_path: Path) -> None:
    reader = Reader(haproxy=tmp_path / "admin.sock")
    (remark,) = await FileTarget(tmp_path / "list", form="haproxy", reader=reader).examine()
    assert remark.kind == "problem"
    assert "admin.sock cannot be used" in remark.text
