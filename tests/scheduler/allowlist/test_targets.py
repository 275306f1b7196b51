import stat
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from scheduler.allowlist.targets import Target, TargetError
from scheduler.allowlist.targets.file import EDITED, MARK, UNREAD, FileTarget
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


class TestPlainFile(TargetContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        return FileTarget(tmp_path / "list", form="plain")


class TestNginxFile(TargetContract):
    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        return FileTarget(tmp_path / "list", form="nginx")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "allow.conf"


async def test_a_plain_file_has_one_address_a_line(path: Path) -> None:
    await FileTarget(path, form="plain").apply({B: None, A: 5.0})
    assert path.read_text() == f"{MARK}\n101.36.1.2\n2606:4700::1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


async def test_an_nginx_file_always_ends_with_deny_all(path: Path) -> None:
    await FileTarget(path, form="nginx").apply({A: None, B: None})
    assert path.read_text() == f"{MARK}\nallow 101.36.1.2;\nallow 2606:4700::1;\ndeny all;\n"


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


async def test_a_check_that_fails_leaves_the_old_file_in_force(path: Path) -> None:
    await FileTarget(path, form="plain").apply({A: None})
    script = "import sys; print('syntax error near', sys.argv[1]); sys.exit(3)"
    checked = FileTarget(path, form="plain", check=[sys.executable, "-c", script, "{}"])
    with pytest.raises(TargetError, match=r"exited with 3: syntax error near .*\.allow\.conf\.new"):
        await checked.apply({B: None})
    assert "101.36.1.2" in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["allow.conf"]


async def test_a_check_sees_the_new_file_and_a_reload_the_final_one(path: Path) -> None:
    said = path.with_name("said")
    script = f"import sys; open({str(said)!r}, 'a').write(sys.argv[1] + chr(10))"
    command = [sys.executable, "-c", script, "{}"]
    await FileTarget(path, form="plain", check=command, reload=command).apply({A: None})
    assert said.read_text().split() == [str(path.with_name(".allow.conf.new")), str(path)]


async def test_a_reload_that_fails_is_an_error(path: Path) -> None:
    for command, why in ((["false"], "exited with 1"), (["no-such-program"], "cannot be run")):
        with pytest.raises(TargetError, match=why):
            await FileTarget(path, form="plain", reload=command).apply({A: None})


async def test_a_reload_that_failed_is_owed_until_one_succeeds(path: Path) -> None:
    with pytest.raises(TargetError, match="exited with 1"):
        await FileTarget(path, form="nginx", reload=["false"]).apply({A: None})
    target = FileTarget(path, form="nginx", reload=["true"])  # as after a restart
    current = await target.read()
    assert current is not None
    assert current.form == UNREAD
    await target.apply({A: None})
    current = await target.read()
    assert current is not None
    assert current.form == "nginx"


async def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    target = FileTarget(tmp_path / "missing" / "list", form="plain")
    assert await target.read() is None
    with pytest.raises(TargetError, match="cannot be written: No such file or directory"):
        await target.apply({A: None})


async def test_a_folder_in_the_files_place_is_one_clear_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(TargetError, match="cannot be read: Is a directory"):
        await FileTarget(path, form="plain").read()
