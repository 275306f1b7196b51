"""Structured logs on standard output: one line per request or job, as JSON or for a console."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Literal

import structlog
import structlog.tracebacks

Format = Literal["json", "console"]
Level = Literal["debug", "info", "warning", "error"]

# A frame's local variables are bodies, secrets and tokens: where it happened is enough
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


class _Logger(structlog.make_filtering_bound_logger(logging.INFO)):  # type: ignore[misc]
    """What loggers are made of: a class that drops what is below its level, at no cost."""


def set_level(level: Level) -> int:
    """Write this level and above from now on, by loggers that exist already too."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    # loggers keep what they are made of once they were used: what that is made of is exchanged
    _Logger.__bases__ = (structlog.make_filtering_bound_logger(threshold),)
    logging.getLogger().setLevel(max(threshold, logging.WARNING))
    return threshold


@contextmanager
def aside() -> Iterator[None]:
    """Within it only what is wrong is logged, and on standard error: a command prints its own."""
    before = structlog.get_config()
    with redirect_stdout(sys.stderr):
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        try:
            yield
        finally:
            structlog.configure(**before)


def configure(
    *,
    format: Format = "json",  # noqa: A002 - the setting's name
    level: Level = "info",
    passing: structlog.typing.Processor | None = None,
) -> None:
    """Send structlog's and the libraries' records to standard output in one format.

    Event names are short, dotted and never change (`event.stored`); details are fields. `passing`
    sees each record of ours that is written.
    """
    threshold = set_level(level)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if format == "json":
        shared.append(structlog.processors.ExceptionRenderer(_TRACEBACKS))
        renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[*shared, *([passing] if passing else []), renderer],
        wrapper_class=_Logger,
        # a line and its end in one write: several workers share one standard output
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # Libraries speak up only when something is wrong: their chatter is not our event vocabulary.
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)
