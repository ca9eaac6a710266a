"""Show the user of an MCP client where to approve a call: URL elicitation.

Up to MCP 2025-11-25 the server asks the client while the call waits. Since 2026-07-28 the call ends with what
it needs, and the client sends it again with the answer. Both only if the client says that it can open URLs.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any

from fastmcp.server.dependencies import get_context
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ..service import Refusal

logger = logging.getLogger("agentgate_oauth")
# With the address, because some clients show the message and not the URL, such as `fastmcp call`.
_MESSAGE = (
    "Your approval is needed before this can be done. Open the link to see what it is, and decide: {url}"
)


class Shown(Enum):
    """Whether the user has agreed to open the link. They have not decided there yet."""

    OPENED = "opened"
    DECLINED = "declined"
    NOT_OPENED = "not opened"


async def show_link(refusal: Refusal, prefix: str = "agentgate:") -> Shown | InputRequiredResult:
    """Show the user the refusal's link. Return the call's result if the client must be asked with that.

    The name of what the client is asked begins with `prefix`.
    """
    context = _context()
    if context is None or refusal.approval_url is None or not _can_open_urls(context.session):
        return Shown.NOT_OPENED
    if context.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return _shown_by_retry(context, refusal, prefix)
    if not context.session.can_send_request:
        return Shown.NOT_OPENED
    return await _shown_by_request(context, refusal)


async def report_decided(refusal: Refusal) -> None:
    """Tell clients that were asked while the call waits that the user is done with the page."""
    context = _context()
    if context and context.session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        await context.session.send_elicit_complete(
            str(refusal.approval_id), related_request_id=context.request_id
        )


def _context() -> Any:
    try:
        return get_context()
    except RuntimeError:
        return None


def _can_open_urls(session: Any) -> bool:
    capabilities = session.client_capabilities
    elicitation = capabilities and capabilities.elicitation
    return bool(elicitation and elicitation.url is not None)


def _shown_by_retry(context: Any, refusal: Refusal, prefix: str) -> Shown | InputRequiredResult:
    # The name contains the approval, so the answer about another one does not count.
    name = f"{prefix}{refusal.approval_id}"
    answer = (context.input_responses or {}).get(name)
    if answer is None:
        url = str(refusal.approval_url)
        asked = ElicitRequest(params=ElicitRequestURLParams(message=_MESSAGE.format(url=url), url=url))
        return InputRequiredResult(input_requests={name: asked})
    return _shown(answer)


async def _shown_by_request(context: Any, refusal: Refusal) -> Shown:
    try:
        answer = await context.session.elicit_url(
            _MESSAGE.format(url=refusal.approval_url),
            str(refusal.approval_url),
            str(refusal.approval_id),
            related_request_id=context.request_id,
        )
    except MCPError as error:
        logger.warning("The client did not show the link to an approval: %s", error)
        return Shown.NOT_OPENED
    return _shown(answer)


def _shown(answer: object) -> Shown:
    is_accepted = isinstance(answer, ElicitResult) and answer.action == "accept"
    return Shown.OPENED if is_accepted else Shown.DECLINED
