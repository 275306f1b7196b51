"""Where the files go: `storageConfig`. The reference; numbers of regions: `region-vendor.mdx`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from agora_sidecar.agora.requests.model import Model, Together
from agora_sidecar.agora.requests.rules import SECRET, SOME_TEXT, Between, OneOf, That, matching

AMAZON, ALIBABA, TENCENT, AZURE, GOOGLE, HUAWEI, BAIDU = 1, 2, 3, 5, 6, 7, 8
S3_COMPATIBLE = 11
"""Since 2025-06-27; not in the reference, but in what followed it."""

REGIONS: Mapping[int, frozenset[int]] = {
    AMAZON: frozenset(range(26)) - {17, 23},
    ALIBABA: frozenset(range(28)),
    TENCENT: frozenset(range(20)),
    AZURE: frozenset({0}),
    GOOGLE: frozenset({0}),
    HUAWEI: frozenset(range(16)),
    BAIDU: frozenset(range(1, 8)),
    S3_COMPATIBLE: frozenset({0}),
}
"""Which numbers each vendor's regions have."""
LONGEST_PREFIX = 128
FIRST_SECOND, FIRST_MILLISECOND = 1_000_000_000, 100_000_000_000
"""Between them a number is Unix seconds of this century; from the second on, milliseconds."""


class ExtensionParams(Model, frozen=True, kw_only=True):
    """Encryption and tags of the uploaded files. An empty text is as good as none."""

    sse: Annotated[str | None, OneOf(("kms", "aes256", ""))] = None
    tag: str | None = None
    endpoint: Annotated[str | None, SOME_TEXT] = None


def _given(storage: Mapping[str, Any], name: str) -> bool:
    params = storage.get("extensionParams")
    return isinstance(params, Mapping) and params.get(name) not in {None, ""}


def _of(storage: Mapping[str, Any], *vendors: int) -> bool:
    """Whether the vendor is one of these, or cannot be told."""
    return storage.get("vendor") in vendors or storage.get("vendor") not in REGIONS


def _odd_region(storage: Mapping[str, Any]) -> bool:
    vendor, region = storage.get("vendor"), storage.get("region")
    if type(vendor) is not int or type(region) is not int or vendor not in REGIONS:
        return False
    return region not in REGIONS[vendor]


def _short(prefix: Any) -> bool:
    return sum(len(part) + 1 for part in prefix if isinstance(part, str)) <= LONGEST_PREFIX


class StorageConfig(Model, frozen=True, kw_only=True):
    """The account's storage; keys and tokens are never shown."""

    vendor: Annotated[int, OneOf(tuple(REGIONS))]
    region: Annotated[int, Between(0)]
    bucket: Annotated[str, SOME_TEXT]
    access_key: Annotated[str, SECRET, SOME_TEXT]
    secret_key: Annotated[str, SECRET, SOME_TEXT]
    sts_token: Annotated[str | None, SECRET] = None
    sts_expiration: Annotated[
        int | None,
        That(
            "must be Unix time in seconds",
            lambda value: FIRST_SECOND <= value < FIRST_MILLISECOND,
            name="seconds",
        ),
    ] = None
    file_name_prefix: Annotated[
        Sequence[Annotated[str, matching("[A-Za-z0-9]+", "must be letters a-z, A-Z and digits")]]
        | None,
        That(f"must have at most {LONGEST_PREFIX} characters with its slashes", _short, "length"),
    ] = None
    extension_params: ExtensionParams | None = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together("vendor's region", "region", "must be one of the vendor's regions", _odd_region),
        Together(
            "sts vendor",
            "stsToken",
            "is only for vendor 1, 2 and 3",
            lambda o: bool(o.get("stsToken")) and not _of(o, AMAZON, ALIBABA, TENCENT),
        ),
        Together(
            "sse vendor",
            "extensionParams.sse",
            "is only for vendor 1",
            lambda o: _given(o, "sse") and not _of(o, AMAZON),
        ),
        Together(
            "tag vendor",
            "extensionParams.tag",
            "is only for vendor 1 and 2",
            lambda o: _given(o, "tag") and not _of(o, AMAZON, ALIBABA),
        ),
        Together(
            "endpoint needed",
            "extensionParams.endpoint",
            "is required for vendor 11",
            lambda o: o.get("vendor") == S3_COMPATIBLE and not _given(o, "endpoint"),
        ),
    )
