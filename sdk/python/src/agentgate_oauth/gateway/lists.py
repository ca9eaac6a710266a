"""Lists show what the connection allows, and one tool says how to get more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import mcp_types
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_context
from fastmcp.tools.base import Tool, ToolResult
from pydantic import PrivateAttr

from ..errors import AgentGateError
from .callers import Denied, TokenSource
from .catalogue import Catalogue, Entry

ComponentT = TypeVar("ComponentT")
MAX_NAMED = 100
_SCHEMA = {
    "type": "object",
    "properties": {
        "tools": {
            "type": "array",
            "items": {"type": "string", "maxLength": 2000},
            "minItems": 1,
            "maxItems": MAX_NAMED,
            "description": "The names of what should be allowed.",
        }
    },
    "required": ["tools"],
    "additionalProperties": False,
}


class Lists:
    """Filters by the scopes of the caller's token. With `is_shadow`, nothing is hidden."""

    def __init__(self, callers: TokenSource, *, is_shadow: bool = False) -> None:
        self.callers = callers
        self._is_shadow = is_shadow

    async def shown(self, components: Iterable[ComponentT]) -> list[ComponentT]:
        """Return the components whose scope the token has."""
        if self._is_shadow:
            return list(components)
        scopes = await self._scopes()
        return [one for one in components if one._entry.line.scope in scopes]  # type: ignore[attr-defined]

    async def request_access(self, catalogue: Catalogue) -> Tool | None:
        """Return the tool that asks for more, None if nothing is hidden."""
        if self._is_shadow:
            return None
        scopes = await self._scopes()
        hidden = [entry for entry in catalogue.entries() if entry.line.scope not in scopes]
        return RequestAccess(catalogue, self, hidden) if hidden else None

    async def _scopes(self) -> frozenset[str]:
        """Return the caller's scopes. There are none before there is a token."""
        try:
            return await self.callers.scopes()
        except (AgentGateError, Denied):
            return frozenset()


class RequestAccess(Tool):
    """Asks the user for the scopes of tools that are not allowed yet.

    Over HTTP the front answers before this runs, with 403 and the scopes, so that the client asks the user.
    """

    _catalogue: Catalogue = PrivateAttr()
    _lists: Lists = PrivateAttr()

    def __init__(self, catalogue: Catalogue, lists: Lists, hidden: Sequence[Entry] = ()) -> None:
        named = [f"{entry.exposed} ({entry.line.scope})" for entry in hidden[:MAX_NAMED]]
        more = f", and {len(hidden) - MAX_NAMED} more" if len(hidden) > MAX_NAMED else ""
        description = (
            "Ask the user to allow more. Not allowed yet, with the permission that each needs: "
            f"{', '.join(named)}{more}. The user decides, and may refuse."
        )
        super().__init__(name=catalogue.request_access, description=description, parameters=_SCHEMA)
        self._catalogue, self._lists = catalogue, lists

    def to_mcp_tool(self, **_: Any) -> mcp_types.Tool:
        return mcp_types.Tool(name=self.name, description=self.description, input_schema=self.parameters)

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        names = arguments.get("tools")
        needed = needed_by(self._catalogue, names)
        if needed is None:
            raise ToolError(f"tools must be a list of names, of what {self.name} describes.")
        try:
            missing = await self._missing(needed)
        except Denied as denied:
            raise ToolError(json.dumps(denied.body)) from None
        if missing:
            body = {
                "error": "insufficient_scope",
                "error_description": "The user has not allowed this.",
                "reason": "insufficient_scope",
                "missingScopes": missing,
            }
            raise ToolError(json.dumps(body))
        await get_context().send_notification(mcp_types.ToolListChangedNotification())
        return ToolResult(content=f"Allowed now: {', '.join(map(str, names or []))}. List the tools again.")

    async def _missing(self, needed: Sequence[str]) -> list[str]:
        """Return what the user has not allowed, after they were asked. Raises Denied."""
        callers = self._lists.callers
        allowed = (await callers.caller()).scopes
        missing = [scope for scope in needed if scope not in allowed]
        return [] if not missing or await callers.step_up(missing) else missing


def needed_by(catalogue: Catalogue, names: object) -> list[str] | None:
    """Return the scopes of these entries, None if a name is unknown."""
    if not isinstance(names, list) or not 0 < len(names) <= MAX_NAMED:
        return None
    found = [list(_entries_named(catalogue, name)) for name in names]
    if not all(found):
        return None
    return list(dict.fromkeys(entry.line.scope for entries in found for entry in entries))


def _entries_named(catalogue: Catalogue, name: object) -> Iterator[Entry]:
    for entries in (catalogue.tools, catalogue.prompts, catalogue.resources, catalogue.templates):
        if isinstance(name, str) and name in entries:
            yield entries[name]
            return
