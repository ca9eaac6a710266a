"""The MCP server that clients see: FastMCP's proxy components, each behind a decision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import mcp_types
from fastmcp import FastMCP
from fastmcp.exceptions import NotFoundError, PromptError, ResourceError, ToolError
from fastmcp.prompts.base import InputRequiredPromptResult, PromptResult
from fastmcp.resources.base import InputRequiredResourceResult, ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.server.providers.base import Provider
from fastmcp.server.providers.proxy import ProxyPrompt, ProxyResource, ProxyTemplate, ProxyTool
from fastmcp.tools.base import InputRequiredToolResult, Tool, ToolResult
from fastmcp.utilities.versions import VersionSpec
from pydantic import PrivateAttr

from .._version import VERSION
from .callers import INTROSPECTION_SECONDS, TokenSource
from .catalogue import Catalogue, Entry
from .config import Line, ToolLine
from .decisions import Call, Decisions, current_client
from .lists import Lists, RequestAccess
from .question import Asked, ask_about_prompt, ask_about_resource, ask_about_tool, require_plain_uri
from .upstreams import AnsweredErrors
from .uris import MAX_URI, is_of

logger = logging.getLogger("agentgate_oauth.gateway")
ComponentT = TypeVar("ComponentT")
_client = current_client.get


class GatewayTool(ProxyTool):
    """A pinned tool."""

    _listed: mcp_types.Tool = PrivateAttr()
    _entry: Entry = PrivateAttr()
    _decisions: Decisions = PrivateAttr()

    def __init__(self, entry: Entry, _: Catalogue, decisions: Decisions) -> None:
        definition = entry.definition
        super().__init__(
            _client,
            name=entry.exposed,
            description=definition.get("description"),
            parameters=definition.get("inputSchema") or {},
            output_schema=definition.get("outputSchema"),
        )
        self._backend_name, self._entry, self._decisions = entry.name, entry, decisions
        self._listed = mcp_types.Tool.model_validate({**definition, "name": entry.exposed})

    async def run(self, arguments: dict[str, Any], context: Any = None) -> ToolResult:
        entry = self._entry
        run = super().run
        result: ToolResult = await self._decisions.run(
            Call(
                entry,
                arguments,
                lambda: _ask_about_tool(entry, arguments),
                lambda forwarded: run(dict(forwarded), context),
                InputRequiredToolResult,
                ToolError,
            )
        )
        return result

    def to_mcp_tool(self, **overrides: Any) -> mcp_types.Tool:
        """Return the definition as it is pinned. Older clients need another form of `outputSchema`."""
        schema = overrides.get("outputSchema")
        if schema is None or schema == self._listed.output_schema:
            return self._listed
        return self._listed.model_copy(update={"output_schema": schema})


class GatewayResource(ProxyResource):
    """A pinned resource."""

    _listed: mcp_types.Resource = PrivateAttr()
    _entry: Entry = PrivateAttr()
    _decisions: Decisions = PrivateAttr()

    def __init__(self, entry: Entry, _: Catalogue, decisions: Decisions) -> None:
        super().__init__(_client, uri=entry.name, name=str(entry.definition.get("name")))
        self._backend_uri, self._entry, self._decisions = entry.name, entry, decisions
        self._listed = mcp_types.Resource.model_validate(dict(entry.definition))

    async def read(self) -> ResourceResult:
        return await _read(self._decisions, self._entry, self._entry.name, self._entry.line, super().read)

    def to_mcp_resource(self, **overrides: Any) -> mcp_types.Resource:
        return self._listed


class GatewayTemplate(ProxyTemplate):
    """A pinned template. What is read is the URI that was decided about, not one made again of its parts."""

    _listed: mcp_types.ResourceTemplate = PrivateAttr()
    _entry: Entry = PrivateAttr()
    _decisions: Decisions = PrivateAttr()
    _catalogue: Catalogue = PrivateAttr()

    def __init__(self, entry: Entry, catalogue: Catalogue, decisions: Decisions) -> None:
        name = str(entry.definition.get("name"))
        super().__init__(_client, uri_template=entry.name, name=name, parameters={})
        self._entry, self._catalogue, self._decisions = entry, catalogue, decisions
        self._listed = mcp_types.ResourceTemplate.model_validate(dict(entry.definition))

    def matches(self, uri: str) -> dict[str, Any] | None:
        """Return no parameters: nothing uses them. FastMCP finds them with an expression that backtracks."""
        return {} if is_of(self.uri_template, uri) else None

    async def _read(self, uri: str, params: dict[str, Any]) -> ResourceResult:
        line = self._catalogue.read_line(self._entry, uri)
        if line is None:
            raise NotFoundError(f"Unknown resource: {uri!r}")
        resource = ProxyResource(_client, uri=uri, name=self.name, mime_type=self.mime_type or "text/plain")
        resource._backend_uri = uri
        return await _read(self._decisions, self._entry, uri, line, resource.read)

    def to_mcp_template(self, **overrides: Any) -> mcp_types.ResourceTemplate:
        return self._listed


class GatewayPrompt(ProxyPrompt):
    """A pinned prompt."""

    _listed: mcp_types.Prompt = PrivateAttr()
    _entry: Entry = PrivateAttr()
    _decisions: Decisions = PrivateAttr()

    def __init__(self, entry: Entry, _: Catalogue, decisions: Decisions) -> None:
        super().__init__(_client, name=entry.exposed)
        self._backend_name, self._entry, self._decisions = entry.name, entry, decisions
        self._listed = mcp_types.Prompt.model_validate({**entry.definition, "name": entry.exposed})

    async def render(self, arguments: dict[str, Any] | None = None) -> PromptResult:
        entry, given = self._entry, arguments or {}
        render = super().render
        result: PromptResult = await self._decisions.run(
            Call(
                entry,
                given,
                lambda: Asked(ask_about_prompt(entry.line, entry.exposed, given, entry.digest), given),
                lambda forwarded: render(dict(forwarded)),
                InputRequiredPromptResult,
                PromptError,
            )
        )
        return result

    def to_mcp_prompt(self, **overrides: Any) -> mcp_types.Prompt:
        return self._listed


class Components(Provider):
    """The components of the catalogue, which is replaced as a whole when the files change."""

    def __init__(self, catalogue: Catalogue, decisions: Decisions, lists: Lists) -> None:
        super().__init__()
        self._decisions = decisions
        self._lists = lists
        self.replace(catalogue)

    def replace(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._tools = self._made(GatewayTool, catalogue.tools)
        self._resources = self._made(GatewayResource, catalogue.resources)
        self._templates = list(self._made(GatewayTemplate, catalogue.templates).values())
        self._prompts = self._made(GatewayPrompt, catalogue.prompts)

    def _made(
        self, make: Callable[[Entry, Catalogue, Decisions], ComponentT], entries: Mapping[str, Entry]
    ) -> dict[str, ComponentT]:
        made = {}
        for name, entry in entries.items():
            try:
                made[name] = make(entry, self.catalogue, self._decisions)
            except (ValueError, TypeError) as error:
                problem = type(error).__name__
                logger.error("%s is not exposed: its definition is not valid MCP (%s)", name[:200], problem)
        return made

    async def _list_tools(self) -> Sequence[Tool]:
        shown = await self._lists.shown(self._tools.values())
        more = await self._lists.request_access(self.catalogue)
        return [*shown, *([more] if more else [])]

    async def _get_tool(self, name: str, version: VersionSpec | None = None) -> Tool | None:
        if name == self.catalogue.request_access:
            return RequestAccess(self.catalogue, self._lists)
        return self._tools.get(name)

    async def _list_resources(self) -> Sequence[Any]:
        return await self._lists.shown(self._resources.values())

    async def _get_resource(self, uri: str, version: VersionSpec | None = None) -> Any:
        return self._resources.get(uri)

    async def _list_resource_templates(self) -> Sequence[Any]:
        return await self._lists.shown(self._templates)

    async def _get_resource_template(self, uri: str, version: VersionSpec | None = None) -> Any:
        return next((one for one in self._templates if one.matches(uri) is not None), None)

    async def has_resource(self, uri: str) -> bool:
        return uri in self._resources or await self._get_resource_template(uri) is not None

    async def _list_prompts(self) -> Sequence[Any]:
        return await self._lists.shown(self._prompts.values())

    async def _get_prompt(self, name: str, version: VersionSpec | None = None) -> Any:
        return self._prompts.get(name)


class OnlyListed(Middleware):
    """Refuses names and URIs without an entry, before FastMCP looks for them by another route.

    Such routes are addresses with a hash, which reach tools of apps, and pages that FastMCP makes for tools.
    """

    def __init__(self, components: Components) -> None:
        self._components = components

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        catalogue = self._components.catalogue
        name = context.message.name
        if name not in catalogue.tools and name != catalogue.request_access:
            raise NotFoundError(f"Unknown tool: {name[:200]!r}")
        return await call_next(context)

    async def on_read_resource(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        uri = str(context.message.uri)
        if len(uri) > MAX_URI:
            raise ResourceError(f"The URI has more than {MAX_URI:,} characters. Shorten it.")
        if not await self._components.has_resource(uri):
            raise NotFoundError(f"Unknown resource: {uri[:200]!r}")
        return await call_next(context)


def build(catalogue: Catalogue, decisions: Decisions, callers: TokenSource, **options: Any) -> FastMCP[Any]:
    """Return the server. Its provider is a `Components`, whose catalogue can be replaced."""
    components = Components(catalogue, decisions, Lists(callers, is_shadow=decisions.is_shadow))
    server: FastMCP[Any] = FastMCP(
        catalogue.gateway.name,
        instructions=catalogue.instructions,
        version=VERSION,
        providers=[components],
        middleware=[OnlyListed(components), AnsweredErrors()],
        dereference_schemas=False,
        mask_error_details=False,
        cache_ttl=int(INTROSPECTION_SECONDS),
        cache_scope="private",
        **options,
    )
    # What was read is not to be read from a cache: each read is decided.
    server._mcp_server.cache_hints.pop("resources/read", None)
    return server


def components_of(server: FastMCP[Any]) -> Components:
    return next(one for one in server.providers if isinstance(one, Components))


def _ask_about_tool(entry: Entry, arguments: Mapping[str, Any]) -> Asked:
    line = entry.line
    assert isinstance(line, ToolLine)
    schema = entry.definition.get("inputSchema")
    root = entry.behind.root
    return ask_about_tool(line, line.context, arguments, entry.exposed, schema, entry.digest, root)


async def _read(decisions: Decisions, entry: Entry, uri: str, line: Line, read: Any) -> ResourceResult:
    def ask() -> Asked:
        if uri != entry.name:
            require_plain_uri(uri)
        return Asked(ask_about_resource(line, uri, entry.digest), {"uri": uri})

    async def forward(_: Mapping[str, Any]) -> Any:
        return await read()

    result: ResourceResult = await decisions.run(
        Call(entry, {"uri": uri}, ask, forward, InputRequiredResourceResult, ResourceError)
    )
    return result
