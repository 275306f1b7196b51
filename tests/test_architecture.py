"""The house keeps its shape: names, contracts, wheel, sizes, and nothing of a particular machine."""

import ast
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agora_sidecar", "receiver", "scheduler")
LONGEST_MODULE = 300
LONGEST_FUNCTION = 40

ELSEWHERE = re.compile(r"(?<![\w.~])/(work|root|tmp|Users|home/\w+)(/|\b)")
REGISTRIES = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.]|\s--(extra-)?index-url|\[global\]")
LOOK_FOR_THEM = ("tests/test_architecture.py", "tests/test_documents.py")  # name what they look for

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def sources() -> set[str]:
    return {name for name, _ in modules()}


def claimants(name: str, path: Iterable[str]) -> set[str]:
    """The installed distributions that bring a top-level module of this name."""
    return {
        found.metadata["Name"]
        for found in importlib.metadata.distributions(path=list(path))
        for file in found.files or ()
        if file.parts[0] in {name, f"{name}.py"}
    }


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_claims_our_top_level_names(name: str) -> None:
    assert claimants(name, sys.path) <= {"agora-sidecar"}


@pytest.mark.parametrize("name", PACKAGES)
def test_our_top_level_names_are_found_in_one_place(name: str) -> None:
    entries = {Path(entry).resolve() for entry in sys.path}
    places = {e for e in entries if (e / name).is_dir() or (e / f"{name}.py").is_file()}
    assert len(places) == 1, places


def test_a_foreign_distribution_with_our_name_would_be_noticed(tmp_path: Path) -> None:
    information = tmp_path / "foreign-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (information / "RECORD").write_text("receiver/__init__.py,,\n")
    assert claimants("receiver", [str(tmp_path)]) == {"foreign"}
    assert claimants("scheduler", [str(tmp_path)]) == set()


def test_the_wheel_holds_our_packages_and_nothing_else(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    copy_tree(tree)
    (tree / "stray.py").write_text("")
    (tree / "helpers").mkdir()
    (tree / "helpers" / "__init__.py").write_text("")
    ours = [path for package in PACKAGES for path in (tree / package).rglob("*")]
    expected = {str(path.relative_to(tree)) for path in ours if path.is_file()}
    offline = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", *offline, "--wheel-dir", str(tmp_path / "dist"), str(tree)],
        check=True,
        capture_output=True,
    )
    [wheel] = (tmp_path / "dist").iterdir()
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_every_module_says_what_may_live_in_it() -> None:
    assert [name for name, tree in modules() if not ast.get_docstring(tree)] == []


def test_no_module_is_longer_than_the_budget() -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in sources()}
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_no_function_is_longer_than_the_budget() -> None:
    lengths = {
        f"{name}:{node.name}": length(node)
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def length(function: Function) -> int:
    """Lines of a function, without its decorators and its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function):
        docstring = function.body[0]
        lines -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return lines


IN_CONTAINERS = ("mountPath: /tmp", '"/tmp:mode')
"""Places in a container, not on a machine."""


def texts() -> Iterator[tuple[str, str]]:
    """Every file that is or would be committed, except the tests that look for such names."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name in LOOK_FOR_THEM:
            continue
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield name, content.decode()


def test_the_repository_names_no_place_of_one_machine() -> None:
    found = {}
    for name, text in texts():
        for inside in IN_CONTAINERS:
            text = text.replace(inside, "")  # noqa: PLW2901 - the same text, less what is allowed
        if hit := ELSEWHERE.search(text):
            found[name] = hit.group()
    assert found == {}


def test_the_repository_names_no_registry() -> None:
    found = {name: hit.group() for name, text in texts() if (hit := REGISTRIES.search(text))}
    assert found == {}


def copy_tree(folder: Path) -> None:
    folder.mkdir()
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)


def lint(folder: Path) -> str:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contracts") / "tree"
    copy_tree(folder)
    return folder


def contracts() -> list[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in document["tool"]["importlinter"]["contracts"]]


# Contract -> a line in a file that breaks it
VIOLATIONS = {
    "Command line ->": ("receiver/metrics.py", "import scheduler.timetable"),
    "Every module of the ground": ("agora_sidecar/helpers.py", ""),
    "What is believed about Agora": (
        "agora_sidecar/agora/fields.py",
        "import agora_sidecar.agora.client",
    ),
    "The emulator:": (
        "agora_sidecar/emulator/account.py",
        "import agora_sidecar.emulator.service",
    ),
    "The emulator's studio:": (
        "agora_sidecar/emulator/studio/media.py",
        "import agora_sidecar.emulator.studio.rules",
    ),
    "What the emulated vendor does": ("agora_sidecar/emulator/studio/task.py", "import time"),
    "Bodies of requests": (
        "agora_sidecar/agora/requests/rules.py",
        "import agora_sidecar.agora.requests.bodies",
    ),
    "The receiver:": ("receiver/webhook.py", "import receiver.settings"),
    "The spool:": ("receiver/spool/row.py", "import receiver.spool.drain"),
    "Trimming:": ("scheduler/trimming/verdict.py", "import scheduler.trimming.trimmer"),
    "The scheduler:": ("scheduler/recordings/session.py", "import scheduler.allowlist.plan"),
    "The allow-list:": ("scheduler/allowlist/addresses.py", "import scheduler.allowlist.plan"),
    "nftables:": (
        "scheduler/allowlist/targets/nftables/script.py",
        "import scheduler.allowlist.targets.nftables.table",
    ),
    "The recordings:": ("scheduler/recordings/session.py", "import scheduler.recordings.intake"),
    "No import cycles": (
        "agora_sidecar/emulator/pace.py",
        "import agora_sidecar.emulator.emulator",
    ),
    "The kinds of target": (
        "scheduler/allowlist/targets/file.py",
        "import scheduler.allowlist.targets.nftables",
    ),
    "Only the composition root names": (
        "scheduler/allowlist/sync.py",
        "import scheduler.allowlist.targets.file",
    ),
    "The emulator is": ("receiver/webhook.py", "import agora_sidecar.emulator.answers"),
    "Facts about Agora": ("agora_sidecar/agora/signatures.py", "import time"),
    "Decisions about recordings": ("scheduler/recordings/decide.py", "import time"),
    "What is admitted": ("scheduler/allowlist/guard.py", "import structlog"),
    "Door: redis": ("receiver/inbox.py", "import redis.asyncio"),
    "Door: apscheduler": ("scheduler/assembly.py", "import apscheduler.events"),
    "Door: httpx": ("scheduler/allowlist/source.py", "import httpx"),
    "Door: boto3": ("scheduler/allowlist/targets/aws_prefix_list.py", "import boto3"),
    "Door: typer": ("receiver/app.py", "import rich.console"),
    "Door: pydantic": ("receiver/webhook.py", "import pydantic"),
}


def test_every_contract_is_shown_to_fail_below() -> None:
    unproven = [name for name in contracts() if not name.startswith(tuple(VIOLATIONS))]
    assert unproven == []


def test_every_contract_holds(copy: Path) -> None:
    report = lint(copy)
    assert f"{len(contracts())} kept, 0 broken." in report, report


@pytest.mark.slow
@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_violation_of_a_contract_breaks_it(contract: str, copy: Path) -> None:
    [full] = [name for name in contracts() if name.startswith(contract)]
    name, line = VIOLATIONS[contract]
    path = copy / name
    original = path.read_text() if path.exists() else None
    path.write_text(f"{original or ''}\n{line}\n")
    try:
        assert f"{full} BROKEN" in " ".join(lint(copy).split())
    finally:
        path.unlink() if original is None else path.write_text(original)
