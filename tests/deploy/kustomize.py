"""Builds what the kustomizations here use of kustomize, and refuses the rest: resources, patches by kind and name."""

from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
KEYS = {"apiVersion", "kind", "resources", "patches"}
MERGED_BY = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "topologySpreadConstraints": "topologyKey",
}
"""Lists that a strategic merge joins, by what; the Services' `ports` by `port`. Others are replaced."""


def build(folder: Path) -> list[Manifest]:
    """The manifests of a kustomization, its patches applied."""
    own = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert own["kind"] == "Kustomization"
    assert own.keys() <= KEYS, f"{folder}: not known here: {own.keys() - KEYS}"
    found: list[Manifest] = []
    for name in own["resources"]:
        path = folder / name
        found += build(path) if path.is_dir() else documents(path)
    identities = [identity(one) for one in found]
    assert len(set(identities)) == len(identities), identities
    for patch in own.get("patches", ()):
        assert patch.keys() == {"path"}, patch
        for change in documents(folder / patch["path"]):
            _patch(found, change)
    return found


def documents(path: Path) -> list[Manifest]:
    """Every document of a file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def identity(manifest: Manifest) -> tuple[str, str, str]:
    """What a patch finds its manifest by."""
    return manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]


def ordered(value: Any) -> Any:
    """With its merged lists in one order, which a merge does not promise."""
    if isinstance(value, dict):
        return {
            name: sorted(map(ordered, item), key=lambda one: str(one[MERGED_BY[name]]))
            if name in MERGED_BY and name != "initContainers"
            else ordered(item)
            for name, item in value.items()
        }
    return [ordered(item) for item in value] if isinstance(value, list) else value


def _patch(found: list[Manifest], change: Manifest) -> None:
    [index] = [i for i, one in enumerate(found) if identity(one) == identity(change)]
    keys = MERGED_BY | ({"ports": "port"} if change["kind"] == "Service" else {})
    found[index] = _merged(found[index], change, keys)


def _merged(old: Manifest, new: Manifest, keys: dict[str, str]) -> Manifest:
    assert "$patch" not in new, "only an item of a list may be deleted"
    result = dict(old)
    for name, value in new.items():
        before = old.get(name)
        assert value is not None, f"{name}: taking away is not known here"
        if isinstance(value, dict) and isinstance(before, dict):
            result[name] = _merged(before, value, keys)
        elif isinstance(value, list) and name in keys:
            result[name] = _joined(before or [], value, keys[name], keys)
        else:
            result[name] = value
    return result


def _joined(
    old: list[Manifest], new: list[Manifest], key: str, keys: dict[str, str]
) -> list[Manifest]:
    items = {item[key]: item for item in old}
    for item in new:
        if item.get("$patch") == "delete":
            del items[item[key]]
        else:
            items[item[key]] = _merged(items.get(item[key], {}), item, keys)
    return list(items.values())
