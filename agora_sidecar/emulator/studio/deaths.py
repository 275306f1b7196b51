"""How recordings die that were accepted: which error, how soon (pure).

Sources: the fact sheet's typical causes of an end; Docs-Source `common-errors.md` of 2023 and
`event-types/cloud-recording.mdx` (71). The delays are our choice.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Death:
    """`module` and `code` of event 1, or `web_code` and `message` of event 71; `after` the start.

    `limit` is the capability that event 72 names; `silent` dies without a word.
    """

    after: float
    module: int = 2
    code: int = 52
    web_code: int = 0
    message: str = ""
    limit: str = ""
    silent: bool = False


DEATHS: dict[str, Death] = {
    "storage": Death(20.0, module=1, code=32),
    "upload_failed": Death(40.0, module=1, code=47),
    "token_expired": Death(3.0, module=0, code=109),
    "token_invalid": Death(3.0, module=0, code=110),
    "transcoding": Death(4.0, module=0, code=2),
    "start_timeout": Death(10.0, module=2, code=52),
    "vanish": Death(30.0, silent=True),
    "capability": Death(12.0, web_code=2, message="capability_limit", limit="WebGL"),
    "engine": Death(4.0, web_code=3, message="start_engine_failed"),
    "page_timeout": Death(60.0, web_code=4, message="page_load_timeout"),
    "page_unreachable": Death(6.0, web_code=5, message="access_url_failed"),
    "recorder": Death(45.0, web_code=6, message="recorder_error"),
}

WEB_DEATHS = tuple(name for name, death in DEATHS.items() if death.web_code or death.silent)
RTC_DEATHS = tuple(name for name, death in DEATHS.items() if not death.web_code)
