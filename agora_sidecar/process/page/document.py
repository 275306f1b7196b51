"""The page as one document that needs nothing from anywhere, and the policy that keeps it so.

Styles and scripts stand inside; the policy names each by its digest, so that nothing else runs,
whatever text gets onto the page. `require-trusted-types-for` makes text into markup nowhere.
"""

from base64 import b64encode
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files

from agora_sidecar.process.page.board import Panel


@dataclass(frozen=True, slots=True)
class Document:
    """The page's bytes, their digest, and the headers they go with."""

    body: bytes
    digest: str
    headers: dict[str, str]


def part(package: str, name: str) -> str:
    """The text of a file that ships with a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def document(panels: Collection[Panel]) -> Document:
    """The page that draws these panels."""
    title = f"agora-sidecar {' and '.join(panel.name for panel in panels)}"
    style = part(__package__, "page.css")
    scripts = [part(__package__, name) for name in ("draw.js", "parts.js")]
    scripts += [panel.script for panel in panels]
    scripts.append(part(__package__, "page.js"))
    page = part(__package__, "page.html")
    digest = sha256("".join([page, style, *scripts]).encode()).hexdigest()[:12]
    marked = {
        "TITLE": escape(title),
        "DIGEST": digest,
        "STYLE": style,
        "SCRIPTS": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    for mark, text in marked.items():
        page = page.replace(f"<!--{mark}-->", text)
    return Document(page.encode(), digest, _headers(style, scripts))


def _headers(style: str, scripts: Iterable[str]) -> dict[str, str]:
    policy = (
        "default-src 'none'",
        f"script-src {' '.join(_source(script) for script in scripts)}",
        f"style-src {_source(style)}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
