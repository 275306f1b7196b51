"""The dashboard that is shipped: loads without edits, and asks for nothing that does not exist."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.test_prometheus import existing, unknown_in

PATH = Path(__file__).parents[2] / "deploy" / "grafana" / "agora-sidecar.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
QUERIES: list[str] = [t["expr"] for p in PANELS for t in p["targets"]]


def test_the_data_source_is_a_variable_everywhere() -> None:
    variables = {v["name"]: v for v in DASHBOARD["templating"]["list"]}

    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == (
        "datasource",
        "prometheus",
    )
    asked = [p["datasource"] for p in PANELS]
    asked += [t["datasource"] for p in PANELS for t in p["targets"]]
    asked += [v["datasource"] for v in variables.values() if v["type"] == "query"]
    assert {source["uid"] for source in asked} == {"${datasource}"}
    assert "__inputs" not in DASHBOARD


def test_every_variable_that_is_used_is_defined() -> None:
    defined = {v["name"] for v in DASHBOARD["templating"]["list"]} | {"__rate_interval", "__all"}
    used = re.findall(r"\$\{?(\w+)\}?", json.dumps(DASHBOARD))

    assert set(used) <= defined


def test_every_query_is_about_metrics_and_labels_that_exist() -> None:
    assert all("agora_sidecar_" in query for query in QUERIES)
    assert [problem for query in QUERIES for problem in unknown_in(query)] == []


def test_every_label_of_a_legend_exists() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            names = re.findall(r"agora_sidecar_[a-z_]+", target["expr"])
            labels = {label for name in names for label in existing()[name]}
            asked = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert asked <= labels | {"instance", "exported_job"}, panel["title"]


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for query in QUERIES for name in re.findall(r"agora_sidecar_[a-z_]+", query)}
    histograms = {"_bucket", "_sum", "_count"}
    short = {re.sub(f"({'|'.join(histograms)})$", "", name) for name in shown}
    missing = {n for n in existing() if re.sub(f"({'|'.join(histograms)})$", "", n) not in short}

    assert missing == set()


def test_panels_have_numbers_and_places_of_their_own() -> None:
    ids = [p["id"] for p in DASHBOARD["panels"]]
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells

    assert len(ids) == len(set(ids))
    assert all(panel["description"] for panel in PANELS)


@pytest.mark.parametrize("query", QUERIES)
def test_a_querys_brackets_are_closed(query: str) -> None:
    for opening, closing in ("()", "{}", "[]"):
        assert query.count(opening) == query.count(closing)
