"""EC2 as strict as the real one, in front of a moto server that is too lenient.

It refuses what EC2 refuses and moto does not: a version that is stale or missing, more entries than
the list or a call may have, entries together with MaxEntries, a list that is being changed. It
answers in pages, shows changes late, and fails in the ways that its attributes ask for. What is
called is kept in `calls`; with `policy` only what an IAM policy allows is done.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from fnmatch import fnmatch
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import aiohttp
from aiohttp import web

AT_ONCE = 100
CHANGES = ("Modify", "Authorize", "Revoke", "Create", "Delete")
PAGED = {
    "DescribeSecurityGroupRules": "securityGroupRuleSet",
    "GetManagedPrefixListEntries": "entrySet",
}
NS = "{http://ec2.amazonaws.com/doc/2016-11-15}"
Parameters = dict[str, str]


class RefusalError(Exception):
    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class StrictEc2:
    """One region; `url` is where it is, while `serve` is open."""

    def __init__(self, moto: str) -> None:
        self._moto = moto
        self.url = ""
        self.calls: list[tuple[str, Parameters]] = []
        self.page_size = 2
        self.looks_until_done = 1
        """How often a change of a prefix list is looked at before it is shown as done."""
        self.old_answers = 1
        """How often rules are shown as before, after each change of them."""
        self.throttled = 0
        self.lost_answers = 0
        """Changes that are made, and whose answer is cut off."""
        self.failed_changes = 0
        """Changes of prefix lists that are begun, and end as modify-failed."""
        self.calls_left: int | None = None
        self.policy: Mapping[str, Any] | None = None
        self.before_change: Callable[[], Awaitable[None]] | None = None
        """Somebody else, at the moment before our next change."""
        self._looks: dict[str, int] = {}
        self._shown: dict[str, tuple[str, str]] = {}
        self._failed: set[str] = set()
        self._old: dict[str, tuple[bytes, int]] = {}
        self._pages: dict[str, tuple[bytes, int]] = {}

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["StrictEc2"]:
        app = web.Application()
        app.router.add_post("/", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as self._session:
            yield self
        await runner.cleanup()

    def changes(self) -> list[str]:
        return [a for a, given in self.calls if a.startswith(CHANGES) and "DryRun" not in given]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        given = dict(parse_qsl(await request.text(), keep_blank_values=True))
        action = given["Action"]
        try:
            body = await self._done(action, given, request)
        except RefusalError as error:
            text = (
                f"<Response><Errors><Error><Code>{error.code}</Code><Message>{error.message}</Message>"
                "</Error></Errors><RequestID>x</RequestID></Response>"
            )
            return web.Response(text=text, status=error.status, content_type="text/xml")
        if self.lost_answers and action.startswith(CHANGES):
            self.lost_answers -= 1
            assert request.transport
            request.transport.abort()
        return web.Response(body=body, content_type="text/xml")

    async def _done(self, action: str, given: Parameters, request: web.Request) -> bytes:
        if self.throttled:
            self.throttled -= 1
            raise RefusalError("RequestLimitExceeded", "Request limit exceeded.", 503)
        if self.calls_left is not None:
            if not self.calls_left:
                raise RefusalError("OperationNotPermitted", "for a test")
            self.calls_left -= 1
        self.calls.append((action, given))
        self._authorize(action, given)
        if given.get("DryRun") == "true":
            raise RefusalError("DryRunOperation", "Request would have succeeded", 412)
        meanwhile, changing = self.before_change, action.startswith(CHANGES)
        if changing and meanwhile is not None:
            self.before_change = None
            await meanwhile()
        special = {
            "ModifyManagedPrefixList": self._modify_list,
            "DescribeManagedPrefixLists": self._show_lists,
            "DescribeSecurityGroupRules": self._show_rules,
        }.get(action)
        if special is not None:
            body = await special(given)
        else:
            if changing:
                await self._keep_old(given)
            body = await self._forward(given)
        return self._page(action, given, body)

    def _authorize(self, action: str, given: Parameters) -> None:
        """Each resource that an action is about needs a statement that allows it."""
        if self.policy is None:
            return
        ids = {value for key, value in given.items() if re.fullmatch(r"\w+Id(\.\d+)?", key)}
        about = [ids, {"security-group-rule/*"}] if action == "ModifySecurityGroupRules" else [ids]
        for wanted in about:
            if not any(_allows(s, action, wanted) for s in self.policy["Statement"]):
                raise RefusalError("UnauthorizedOperation", "You are not authorized", 403)

    async def _forward(self, given: Parameters) -> bytes:
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/ec2/aws4_request"
        }
        async with self._session.post(self._moto, data=given, headers=headers) as answer:
            body = await answer.read()
            if answer.status != 200:
                code = re.search(rb"<Code>(.*?)</Code>", body)
                said = re.search(rb"<Message>(.*?)</Message>", body)
                assert code, body
                words = said[1].decode() if said else ""
                raise RefusalError(code[1].decode(), words, answer.status)
        return body

    async def _list(self, name: str) -> dict[str, str]:
        body = await self._forward(
            {
                "Action": "DescribeManagedPrefixLists",
                "Version": "2016-11-15",
                "PrefixListId.1": name,
            }
        )
        found = ET.fromstring(body).find(f"{NS}prefixListSet/{NS}item")
        if found is None:
            raise RefusalError("InvalidPrefixListID.NotFound", f"{name} does not exist")
        return {child.tag.removeprefix(NS): child.text or "" for child in found}

    async def _entries(self, name: str, version: str) -> list[str]:
        body = await self._forward(
            {
                "Action": "GetManagedPrefixListEntries",
                "Version": "2016-11-15",
                "PrefixListId": name,
                "TargetVersion": version,
            }
        )
        return [e.text or "" for e in ET.fromstring(body).iter(f"{NS}cidr")]

    async def _modify_list(self, given: Parameters) -> bytes:
        name = given["PrefixListId"]
        found = await self._list(name)
        add, remove = _cidrs(given, "AddEntry"), _cidrs(given, "RemoveEntry")
        if self._looks.get(name):
            raise RefusalError("IncorrectState", f"{name} is modify-in-progress")
        if (add or remove) and "MaxEntries" in given:
            raise RefusalError("InvalidParameterCombination", "entries with MaxEntries")
        if "CurrentVersion" not in given:
            raise RefusalError("MissingParameter", "CurrentVersion")
        if given["CurrentVersion"] != found["version"]:
            raise RefusalError("PrefixListVersionMismatch", f"the version is {found['version']}")
        if (not add and not remove) or len(add) + len(remove) > AT_ONCE:
            raise RefusalError("InvalidParameterValue", f"{len(add)} and {len(remove)} entries")
        there = await self._entries(name, found["version"])
        if set(add) & set(remove) or set(add) & set(there) or not set(remove) <= set(there):
            raise RefusalError("InvalidParameterValue", "entries that are there, or are not")
        if len(there) + len(add) - len(remove) > int(found["maxEntries"]):
            raise RefusalError("PrefixListMaxEntriesExceeded", f"at most {found['maxEntries']}")
        self._shown[name], self._looks[name] = (
            (found["version"], found["state"]),
            self.looks_until_done,
        )
        if self.failed_changes:
            self.failed_changes -= 1
            self._failed.add(name)
            return await self._show_lists(
                {"PrefixListId.1": name}, root="ModifyManagedPrefixListResponse"
            )
        return await self._forward(given)

    async def _show_lists(self, given: Parameters, *, root: str = "") -> bytes:
        asked = {"Action": "DescribeManagedPrefixLists", "Version": "2016-11-15"} | given
        name = given["PrefixListId.1"]
        text = (await self._forward(asked)).decode()
        if "<prefixListId>" not in text:
            raise RefusalError("InvalidPrefixListID.NotFound", f"{name} does not exist")
        if root:
            return text.replace("DescribeManagedPrefixListsResponse", root).encode()
        if self._looks.get(name):
            self._looks[name] -= 1
            version, _ = self._shown[name]
            text = re.sub(r"<state>.*?</state>", "<state>modify-in-progress</state>", text)
            text = re.sub(r"<version>.*?</version>", f"<version>{version}</version>", text)
        elif name in self._failed:
            self._failed.discard(name)
            state = "<state>modify-failed</state><stateMessage>a quota is reached</stateMessage>"
            text = re.sub(r"<state>.*?</state>", state, text)
        return text.encode()

    async def _keep_old(self, given: Parameters) -> None:
        if self.old_answers and "GroupId" in given:
            body = await self._forward(_rules_of(given["GroupId"]))
            self._old[given["GroupId"]] = (body, self.old_answers)

    async def _show_rules(self, given: Parameters) -> bytes:
        group = given["Filter.1.Value.1"]
        body, times = self._old.get(group, (b"", 0))
        if not times or "NextToken" in given:
            return await self._forward({k: v for k, v in given.items() if k != "NextToken"})
        self._old[group] = (body, times - 1)
        return body

    def _page(self, action: str, given: Parameters, body: bytes) -> bytes:
        """The asked part of the items, and a token for the next."""
        if action not in PAGED:
            return body
        start = 0
        if token := given.get("NextToken"):
            body, start = self._pages.pop(token)
        root = ET.fromstring(body)
        items = root.find(f"{NS}{PAGED[action]}")
        if items is None:
            return body
        found = list(items)
        for item in (*found[:start], *found[start + self.page_size :]):
            items.remove(item)
        if start + self.page_size < len(found):
            token = f"page-{len(self.calls)}-{start + self.page_size}"
            self._pages[token] = (body, start + self.page_size)
            ET.SubElement(root, f"{NS}nextToken").text = token
        return ET.tostring(root)


def _allows(statement: Mapping[str, Any], action: str, wanted: set[str]) -> bool:
    actions, resources = (_listed(statement[key]) for key in ("Action", "Resource"))
    if not any(fnmatch(f"ec2:{action}", pattern) for pattern in actions):
        return False
    return any(r == "*" or wanted & {r.rpartition("/")[2], r.rpartition(":")[2]} for r in resources)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def _cidrs(given: Parameters, kind: str) -> list[str]:
    return [v for key, v in given.items() if re.fullmatch(rf"{kind}\.\d+\.Cidr", key)]


def _rules_of(group: str) -> Parameters:
    return {
        "Action": "DescribeSecurityGroupRules",
        "Version": "2016-11-15",
        "Filter.1.Name": "group-id",
        "Filter.1.Value.1": group,
    }
