"""One call as it was typed: its body held to the rules, then sent, or shown with secrets masked."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer

from agora_sidecar.agora.calls import Call
from agora_sidecar.agora.client import Client
from agora_sidecar.agora.errors import ApiError, RefusedError
from agora_sidecar.agora.exchange import Answer
from agora_sidecar.agora.requests import check, spelled
from agora_sidecar.agora.requests.masking import masked
from agora_sidecar.cli import call_body
from agora_sidecar.cli.call_report import lines
from agora_sidecar.cli.config import refuse
from agora_sidecar.cli.document import read_document
from agora_sidecar.process import logs
from agora_sidecar.process.settings import SettingsError
from agora_sidecar.settings import AgoraSettings

MAX_BODY = 1024 * 1024
"""Characters of a file."""


class Order:
    """The account, and what is to be done."""

    def __init__(
        self, config: str, *, app_id: str = "", dry_run: bool, force: bool = False, as_json: bool
    ) -> None:
        try:
            document = read_document(environ=os.environ, file=config).document
        except SettingsError as error:
            refuse(error)
        self.agora: AgoraSettings = document.agora
        self.app_id = app_id or self.agora.app_id
        self.dry_run = dry_run
        self.force = force
        self.as_json = as_json
        if not self.app_id:
            end("set agora.app_id or give --app-id")

    def body(
        self,
        name: str,
        file: str,
        assignments: list[str] | None,
        *,
        cname: str,
        uid: str,
        mode: str = "",
    ) -> dict[str, Any]:
        """The body, held to the rules."""
        try:
            found = call_body.body(
                _read(file) if file else "", assignments or (), cname=cname, uid=uid, read=_read
            )
        except call_body.CallError as error:
            end(str(error))
        violations = check(name, found, mode=mode)
        if violations and not self.force:
            self._refuse(found, [str(violation) for violation in violations])
        return dict(spelled(name, found))

    def carry_out(self, make: Callable[[], Call]) -> None:
        """Send it and print the answer, or show what would be sent."""
        try:
            call = make()
        except RefusedError as error:
            end(str(error.reason))
        if self.dry_run:
            self._show(call)
            return
        try:
            with logs.aside():
                answer = asyncio.run(self._send(call))
        except ApiError as error:
            self._fail(error)
        if self.as_json:
            typer.echo(json.dumps(answer.body, ensure_ascii=False))
            return
        for line in lines(call.name, answer):
            typer.echo(line)

    async def _send(self, call: Call) -> Answer:
        async with Client(
            customer_id=self.agora.customer_id,
            customer_secret=self.agora.customer_secret.get_secret_value(),
            base_urls=self.agora.base_urls,
            requests_per_second=self.agora.requests_per_second,
        ) as client:
            return await client.forward(call)

    def _show(self, call: Call) -> None:
        body = None if call.content is None else masked(json.loads(call.content))
        url = self.agora.base_urls[0] + call.path
        if self.as_json:
            shown: dict[str, Any] = {"method": call.method, "url": url, "body": body}
            typer.echo(json.dumps(shown, ensure_ascii=False))
            return
        typer.echo(f"{call.method} {url}")
        if body is not None:
            typer.echo(json.dumps(body, indent=2, ensure_ascii=False))
        typer.echo("valid; not sent", err=True)

    def _refuse(self, body: dict[str, Any], violations: list[str]) -> NoReturn:
        if self.as_json:
            shown = {"body": masked(body), "violations": violations}
            typer.echo(json.dumps(shown, ensure_ascii=False))
        for violation in violations:
            typer.echo(violation, err=True)
        end("not sent: the reference does not allow this; --force sends it all the same")

    def _fail(self, error: ApiError) -> NoReturn:
        if self.as_json:
            told = {
                "error": {
                    "call": error.call,
                    "status": error.status,
                    "code": error.code,
                    "reason": error.reason,
                    "host": error.host,
                    "requestId": error.request_id,
                    "advice": error.advice,
                }
            }
            typer.echo(json.dumps(told, ensure_ascii=False))
        typer.echo(f"{error}. What to do: {error.advice}", err=True)
        raise typer.Exit(1)


def end(text: str) -> NoReturn:
    """Say why there is nothing to send, and end with exit code 2."""
    typer.echo(text, err=True)
    raise typer.Exit(2)


def _read(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(MAX_BODY)
        with Path(name).open(encoding="utf-8") as file:
            return file.read(MAX_BODY)
    except (OSError, UnicodeDecodeError) as error:
        end(f"{name}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}")
