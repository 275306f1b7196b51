import os
import sys
import time
from pathlib import Path

import pytest

from scheduler.allowlist.programs import MAX_OUTPUT, ProgramError, run


async def python(text: str, *, within: float = 20.0, stdin: bytes = b""):  # noqa: ANN201
    return await run([sys.executable, "-c", text], within=within, stdin=stdin)


async def test_a_program_is_given_its_input_and_its_words_are_heard() -> None:
    ended = await python(
        "import sys; print(sys.stdin.read().upper()); print('e', file=sys.stderr); sys.exit(7)",
        stdin=b"abc",
    )
    assert (ended.code, ended.output, ended.errors) == (7, b"ABC\n", b"e\n")
    with pytest.raises(ProgramError, match="exited with 7: e"):
        ended.demand_success()


async def test_a_program_need_not_read_what_it_is_given() -> None:
    ended = await python("pass", stdin=b"x" * 5_000_000)
    assert ended.code == 0


async def test_our_settings_are_not_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_AGORA__CUSTOMER_SECRET", "hidden")
    monkeypatch.setenv("EDGE_TOKEN", "theirs")
    ended = await python("import os; print(*sorted(os.environ))")
    assert b"EDGE_TOKEN" in ended.output
    assert b"SIDECAR_" not in ended.output


async def test_one_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    text = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(ProgramError, match="took more than 2 s"):
        await python(text, within=2.0)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline
        os.sched_yield()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_one_that_writes_without_end_is_killed(stream: str) -> None:
    with pytest.raises(ProgramError, match=f"wrote more than {MAX_OUTPUT // 1024} KiB"):
        await python(f"import sys\nwhile True: print('x' * 65536, file=sys.{stream})")


@pytest.mark.parametrize("program", ["no-such-program", "/etc", "nul\0byte"])
async def test_one_that_cannot_be_run_is_one_clear_error(program: str) -> None:
    with pytest.raises(ProgramError, match="cannot be run"):
        await run([program], within=5)
