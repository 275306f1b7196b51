"""The rules that are shipped: valid, tested, about metrics that exist, and read from a real process."""

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from agora_sidecar.cli import reference
from tests.integration.processes import Sidecar, Store, get, sidecar, until
from tests.integration.test_receiver_process import ALWAYS, notice, send, servers

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = (FOLDER / "rules.yaml").read_text(encoding="utf-8")
TESTS = (FOLDER / "tests.yaml").read_text(encoding="utf-8")
RUNBOOK_URL = "https://runbooks.example/agora-sidecar/RUNBOOK.md#"
TARGET_LABELS = {"job", "instance", "exported_job", "le", "quantile", "severity", "alertname"}
_PRESENT = re.compile(r"agora_sidecar_[a-z_]+")
_SELECTOR = re.compile(r"(agora_sidecar_[a-z_]+)(?:\{([^}]*)\})?")


@cache
def existing() -> dict[str, set[str]]:
    """Every sample name that a process may expose, with its labels."""
    found: dict[str, set[str]] = {}
    for kinds in reference.METRICS.values():
        for kind in kinds:
            registry = CollectorRegistry()
            own = kind(registry)
            for metric in vars(own).values():
                labels = set(getattr(metric, "_labelnames", ()))
                for name in _names(metric):
                    found[name] = labels
    return found


def _names(metric: object) -> list[str]:
    describe = getattr(metric, "describe", None)
    if describe is None:
        return []
    [family] = describe()
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return [family.name + ending for ending in endings.get(family.type, [""])]


def unknown_in(text: str) -> list[str]:
    """What an expression asks for that no process exposes: metrics and labels."""
    problems = []
    for name, selector in _SELECTOR.findall(text):
        labels = existing().get(name)
        asked = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector or ""))
        if labels is None:
            problems.append(name)
        else:
            problems += [f"{name}{{{label}}}" for label in asked - labels - TARGET_LABELS]
    return problems


def alerts() -> dict[str, str]:
    """Each alert's block of the rule file, by its name."""
    blocks = re.split(r"^      - (?=alert|record)", RULES, flags=re.MULTILINE)[1:]
    named = [re.match(r"alert: (\w+)\n", block) for block in blocks]
    return {m[1]: block for m, block in zip(named, blocks, strict=True) if m}


def expressions() -> list[str]:
    """Every expression of the rule file."""
    found = re.findall(r"^        expr: (?:\|-\n((?: {10}.*\n)+)|(.+)\n)", RULES, re.MULTILINE)
    return [block or line for block, line in found]


def promtool(*arguments: str) -> str:
    """Run it in the folder of the rules; fails the test with what it says."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is missing (Debian: the package prometheus)")
    done = subprocess.run(
        [program, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.integration
def test_promtool_takes_the_rules_and_the_example_configuration() -> None:
    promtool("check", "rules", "rules.yaml")
    promtool("check", "config", "prometheus.example.yaml")


@pytest.mark.integration
@pytest.mark.slow  # half a minute; `.ci/run` calls promtool itself
@pytest.mark.timeout(300)
def test_every_alert_fires_when_it_should_and_no_other_does() -> None:
    promtool("test", "rules", "tests.yaml")


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    tested = set(re.findall(r'alertname="(\w+)"', TESTS))

    assert len(alerts()) > 30
    assert tested == set(alerts())


def test_the_good_day_has_every_metric_that_an_alert_reads() -> None:
    """Else an alert might be quiet on the good day for want of its metric alone."""
    good = TESTS.partition("- name: a good day fires nothing")[2].partition("\n  - name:")[0]
    read = {name for block in alerts().values() for name in _PRESENT.findall(block)}
    idle = {"agora_sidecar_spool_drained_total"}  # exists only where something was spooled

    assert "exp_samples" not in good
    assert {n for n in read if n in existing()} - idle - set(_PRESENT.findall(good)) == set()


def test_every_alert_says_how_bad_how_long_what_and_where_to_read_on() -> None:
    for name, block in alerts().items():
        assert re.search(r"^        for: \d+[mh]$", block, re.MULTILINE), name
        assert re.search(r"^          severity: (critical|warning|info)$", block, re.MULTILINE), (
            name
        )
        assert re.search(r"^          summary: \S", block, re.MULTILINE), name
        assert re.search(r"^          description: >-\n            \S", block, re.MULTILINE), name
        assert f"runbook_url: {RUNBOOK_URL}{name.lower()}\n" in block, name


def test_rules_read_only_metrics_and_labels_that_exist() -> None:
    found = expressions()

    assert len(found) == len(re.findall(r"^        expr:", RULES, re.MULTILINE))
    assert [problem for text in found for problem in unknown_in(text)] == []


def test_rule_tests_are_about_metrics_and_labels_that_exist() -> None:
    series = re.findall(r"- series: '(.+)'", TESTS)

    assert series
    assert [problem for text in series for problem in unknown_in(text)] == []


def test_a_metric_or_a_label_that_does_not_exist_is_found() -> None:
    assert unknown_in("rate(agora_sidecar_safe_total[5m])") == []
    assert unknown_in('agora_sidecar_saved_total{level="x"}') == ["agora_sidecar_saved_total"]
    assert unknown_in('agora_sidecar_safe_total{kind="x"}') == ["agora_sidecar_safe_total{kind}"]


def test_values_that_rules_copy_from_settings_are_the_defaults() -> None:
    text = (FOLDER.parents[1] / "docs" / "reference.md").read_text(encoding="utf-8")

    assert re.search(r'`allowlist.poll_interval`.*`"2h"`', text)
    assert re.search(r'`receiver.spool_limit`.*`"1GiB"`', text)
    assert "time() - agora_sidecar_allowlist_last_good_poll_timestamp_seconds > 15300" in RULES
    assert f"agora_sidecar_spool_bytes > {int(0.8 * 2**30)}" in RULES


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


async def scraped(process: Sidecar) -> dict[str, list[Sample]]:
    """What Prometheus would read, by the sample's name."""
    _, text = await get(process.ports.receiver_ops, "/metrics")
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


async def value(process: Sidecar, name: str, **labels: str) -> float:
    """The sum of this metric's samples with these labels; 0 where there is none."""
    samples = (await scraped(process)).get(name, [])
    return sum(s.value for s in samples if labels.items() <= s.labels.items())


@pytest.mark.integration
@pytest.mark.timeout(90)
async def test_a_store_that_is_gone_shows_where_the_rules_look(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar(
        "receiver", tmp_path, store.url, receiver='spool_limit = "1MiB"'
    ) as receiver:

        async def changed(name: str, **labels: str) -> bool:
            return await value(receiver, name, **labels) > 0

        await until(lambda: _stored(receiver))
        good = await scraped(receiver)
        assert [s.value for s in good["agora_sidecar_spool_oldest_seconds"]] == [0]
        assert "503" not in {s.labels["status"] for s in good["agora_sidecar_answers_total"]}

        store.end()
        assert await send(receiver, notice(2)) == (200, "spooled")
        await until(lambda: changed("agora_sidecar_spool_oldest_seconds"))
        await until(lambda: changed("agora_sidecar_spool_events"))
        assert await changed("agora_sidecar_spool_bytes")
        assert await changed("agora_sidecar_append_failures_total")
        assert await changed("agora_sidecar_safe_total", level="spool-fsync")

        for number in range(3, 40):  # until the spool is full as well
            if (await send(receiver, notice(number, padding="x" * 100_000)))[0] == 503:
                break
        assert await changed("agora_sidecar_answers_total", status="503")
        assert await changed("agora_sidecar_spool_failures_total", kind="full")


@pytest.mark.integration
@pytest.mark.timeout(90)
async def test_a_store_that_hangs_is_counted_as_slow(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDECAR_RECEIVER__HEDGE_AFTER", "200ms")  # well before the driver gives up
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        await until(lambda: _stored(receiver))
        store.send(signal.SIGSTOP)
        assert await send(receiver, notice(2)) == (200, "spooled")

        assert await value(receiver, "agora_sidecar_hedged_total") == 1
        slow = await value(receiver, "agora_sidecar_acknowledge_seconds_bucket", le="+Inf")
        assert (
            slow - await value(receiver, "agora_sidecar_acknowledge_seconds_bucket", le="0.1") == 1
        )


@pytest.mark.integration
@pytest.mark.timeout(60)
async def test_a_receiver_exposes_every_metric_that_needs_no_event(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar("receiver", tmp_path, store.url) as receiver:
        samples = await scraped(receiver)

    kinds = [kind for kinds in reference.METRICS.values() for kind in kinds]
    own = vars(next(k for k in kinds if k.__name__ == "ReceiverMetrics")(CollectorRegistry()))
    plain = {n for m in own.values() for n in _names(m) if not existing()[n]}
    assert plain <= set(samples)


async def _stored(receiver: Sidecar) -> bool:
    """Whether a new notice goes to the store: it was found, and nothing is suspended."""
    return await send(receiver, notice(time.time_ns())) == (200, "stored")
