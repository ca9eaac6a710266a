"""One verify per call. What is not allowed, and what cannot be decided, does not reach the upstream."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from fastmcp.exceptions import FastMCPError
from fastmcp.server.dependencies import get_context
from mcp.shared.exceptions import MCPError
from mcp_types import InputRequiredResult

from ..errors import AgentGateError, ApiError, ReservationDeniedError
from ..models import Decision
from ..reservations import AsyncReservation
from ..service import Guard, Refusal
from ..service.refusals import APPROVAL_REQUIRED, Challenge, refusal, unavailable
from ..service.requirement import Question
from ..verifier import AsyncAgentGateVerifier
from .approvals import Flight, Flights, wait_for_user
from .callers import Caller, Denied, TokenSource
from .catalogue import Catalogue, Entry
from .config import Limits, ToolLine
from .lock import Change, Definitions, canonical_digest
from .logs import Report, reported
from .money import Money, final_amount
from .pinning import Pins
from .question import Asked, Refused, require_few_values
from .transports import OWN_INPUT
from .turns import Turns
from .upstreams import UpstreamClient, UpstreamError, UpstreamFailed, Upstreams, front_era

logger = logging.getLogger("agentgate_oauth.gateway")

# The client of the call that runs in this context: components of FastMCP's proxy take it from here.
current_client: ContextVar[UpstreamClient] = ContextVar("agentgate_gateway_client")
_CHALLENGE = Challenge()
# How the gate answers a question that is malformed, or larger than it reads.
_UNREADABLE = (400, 413)
_TRACE_PARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_STATE = re.compile("[ -~]{1,512}")
# What of `_meta` is forwarded, if it has its form. An approval covers no other. A session with an upstream
# states the members of the protocol itself. The traces are those of W3C Trace Context.
_FORWARDED_META: Mapping[str, Callable[[Any], bool]] = {
    "progressToken": lambda value: True,  # mcp has checked it
    "progress_token": lambda value: True,
    "traceparent": lambda value: isinstance(value, str) and bool(_TRACE_PARENT.fullmatch(value)),
    "tracestate": lambda value: isinstance(value, str) and bool(_TRACE_STATE.fullmatch(value)),
}


@dataclass(frozen=True)
class Call:
    """A call of an entry. `forward` sends it to the upstream, through FastMCP's proxy component.

    `wrap` makes a result of the call out of what the client must answer first, `error` is what is raised.
    """

    entry: Entry
    arguments: Mapping[str, Any]
    ask: Callable[[], Asked]
    forward: Callable[[Mapping[str, Any]], Awaitable[Any]]
    wrap: Callable[[InputRequiredResult], Any]
    error: type[FastMCPError]


@dataclass
class Permit:
    """The gate's yes to a call, with the money that is reserved for it."""

    user_id: str
    agent_id: str
    reservation: AsyncReservation | None = None


@dataclass
class State:
    """What is read from the files, and replaced as a whole when they change."""

    catalogue: Catalogue
    upstreams: Upstreams
    pins: Pins
    limits: Limits
    failed: set[str] = field(default_factory=set)
    """The upstreams whose last start has failed."""


class Decisions:
    """Decides about calls, and forwards those that are allowed."""

    def __init__(
        self,
        verifier: AsyncAgentGateVerifier,
        guard: Guard,
        callers: TokenSource,
        state: State,
        *,
        is_shadow: bool = False,
    ) -> None:
        self.state = state
        self.stopping = asyncio.Event()
        self.money = Money(verifier, state.limits)
        self._verifier = verifier
        self._guard = guard
        self._callers = callers
        self._flights = Flights()
        self._turns = Turns(state.limits.calls)
        self.is_shadow = is_shadow

    def use(self, state: State) -> None:
        """Forward to other sessions, and within other limits, from the next call on."""
        self.state = state
        self._turns = Turns(state.limits.calls)

    async def run(self, call: Call) -> Any:
        """Decide about a call and forward it. Raises the call's error, with JSON if it is denied."""
        with reported(call.entry.kind, call.entry.exposed) as report:
            try:
                result = await self._run(call, report)
                if report.outcome == "failed":
                    report.outcome, report.reason = "allowed", "joined"
                return result
            except Denied as denied:
                report.outcome, report.reason = "denied", denied.reason
                raise call.error(json.dumps(denied.body), log_level=logging.DEBUG) from None
            except UpstreamError as error:
                report.reason = type(error).__name__
                raise call.error(str(error), log_level=logging.DEBUG) from None
            except (MCPError, FastMCPError):
                report.outcome, report.reason = "allowed", "upstream_error"
                raise
            except Exception as error:
                logger.exception("A call failed in the gateway")
                report.reason = type(error).__name__
                text = "The gateway could not handle the call, or the answer of the upstream."
                raise call.error(text, log_level=logging.DEBUG) from None
            except asyncio.CancelledError:
                report.outcome = "abandoned"
                raise

    async def _run(self, call: Call, report: Report) -> Any:
        caller = await self._identify()
        try:
            _require_unchanged(call.entry, self.state.pins.lately_changed(call.entry))
            asked = _asked(call, caller)
        except Denied as denied:
            if not self.is_shadow:
                raise
            report.shadow = denied.reason
            asked = Asked(Question((call.entry.line.scope,), None, call.entry.exposed, {}), call.arguments)
        key = _key(call, asked, caller)
        return await self._flights.run(key, lambda flight: self._decide(call, asked, caller, flight, report))

    async def _identify(self) -> Caller:
        try:
            return await self._callers.caller()
        except AgentGateError as error:
            raise self._unreachable(error) from None

    async def _decide(self, call: Call, asked: Asked, caller: Caller, flight: Flight, report: Report) -> Any:
        permit = await self._permit(call, asked, caller, flight, report)
        if isinstance(permit, InputRequiredResult):
            report.outcome, report.reason = "asked", APPROVAL_REQUIRED
            return call.wrap(permit)
        result = await self._forward(call, asked, permit, flight)
        report.outcome = "allowed"
        return result

    async def _permit(
        self, call: Call, asked: Asked, caller: Caller, flight: Flight, report: Report
    ) -> Permit | InputRequiredResult:
        """Return the gate's permit, or what the client must be asked. Raises Denied."""
        if report.shadow:
            return _permit_of(caller, None, None)
        decision, reservation = await self._ask(caller.token, asked.question, report)
        is_denied = decision.allowed is not True and not self.is_shadow
        if is_denied and await self._callers.renew(caller, decision):
            caller = await self._identify()
            decision, reservation = await self._ask(caller.token, asked.question, report)
        refused = refusal(decision, _CHALLENGE, asked.question.scopes)
        if refused is not None and self.is_shadow:
            report.shadow = str(decision.reason)
            return _permit_of(caller, decision, None)
        if refused is not None and refused.approval_id:
            flight.announce()
            waited = await self._wait_for_user(refused)
            if isinstance(waited, InputRequiredResult):
                return waited
            if waited:
                decision, reservation = await self._ask(caller.token, asked.question, report)
                refused = refusal(decision, _CHALLENGE, asked.question.scopes)
        if refused is not None:
            raise Denied.by(refused)
        return _permit_of(caller, decision, reservation)

    async def _wait_for_user(self, refused: Refusal) -> bool | InputRequiredResult:
        """Wait for the user, until the time is up or the gateway stops. Return whether they decided."""
        seconds = self.state.limits.approval_seconds
        waiting = asyncio.ensure_future(wait_for_user(self._guard, refused, seconds, self._callers.show))
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else False
        finally:
            waiting.cancel()
            stopping.cancel()

    async def _ask(
        self, token: str, question: Question, report: Report
    ) -> tuple[Decision, AsyncReservation | None]:
        """Ask the gate once. Raises Denied if it does not decide."""
        reservation = None
        try:
            if "amount" in question.context:
                try:
                    reservation = await self.money.reserve(token, question)
                    decision = reservation.decision
                except ReservationDeniedError as error:
                    decision = error.decision
            else:
                decision = await self._verifier.verify(
                    token, question.scopes, resource=question.resource, context=question.context
                )
        except AgentGateError as error:
            if not self.is_shadow:
                raise self._undecided(error) from None
            decision = Decision(allowed=False, reason="gate_unreachable")
        report.decision = decision.audit_id
        return decision, reservation

    def _undecided(self, error: AgentGateError) -> Denied:
        """Return the denial of a call that the gate could not decide, or whose question it refused."""
        if not isinstance(error, ApiError) or error.status not in _UNREADABLE:
            return self._unreachable(error)
        logger.warning("AgentGate cannot decide about a call, which is denied: %s", error)
        problems = "; ".join(f"{one.field}: {one.message}" for one in error.errors) or error.detail
        text = f"AgentGate cannot decide about these arguments. {problems} Send fewer or shorter ones."
        body = {"error": "invalid_request", "error_description": text, "reason": "arguments_refused"}
        return Denied("arguments_refused", "", body)

    def _unreachable(self, error: AgentGateError) -> Denied:
        logger.error("AgentGate gave no decision, the call is denied: %s", error)
        retry_after = error.retry_after if isinstance(error, ApiError) else None
        body = {
            **unavailable(retry_after).body,
            "error_description": "AgentGate cannot be reached, so the call is denied. Try again later.",
            "reason": "gate_unreachable",
        }
        return Denied("gate_unreachable", "", body)

    async def _forward(self, call: Call, asked: Asked, permit: Permit, flight: Flight) -> Any:
        """Send the call to the upstream, and settle the money by its answer."""
        state = self.state
        client = state.upstreams.client(
            call.entry.upstream, user_id=permit.user_id, agent_id=permit.agent_id, era=front_era()
        )
        try:
            async with self._turns.of(permit.user_id or permit.agent_id), client:
                state.failed.discard(call.entry.upstream)
                if not self.is_shadow:
                    self._require_current(call.entry, state, client.compared)
                _clear_meta()
                flight.is_forwarded = True
                token = current_client.set(client)
                try:
                    result = await call.forward(asked.arguments)
                finally:
                    current_client.reset(token)
        except BaseException as error:
            if isinstance(error, UpstreamFailed):
                state.failed.add(call.entry.upstream)
            if permit.reservation is not None:
                self._settle_failure(permit.reservation, error, client)
            raise
        if permit.reservation is not None:
            await self._settle(permit.reservation, call.entry.line, asked.question, result)
        return result

    def _require_current(self, entry: Entry, state: State, live: Definitions | None) -> None:
        """Refuse a call if its definition, line or upstream has changed since the decision."""
        _require_unchanged(entry, state.pins.change_of(entry) or state.pins.change_in(entry, live))
        if state is not self.state or not state.catalogue.serves(entry):
            text = "The gateway's configuration has changed while the call was decided. Send it again."
            raise Denied("configuration_changed", text)

    async def _settle(
        self, reservation: AsyncReservation, line: object, question: Question, result: Any
    ) -> None:
        if hasattr(result, "input_required") or not isinstance(line, ToolLine):
            task = self.money.void(reservation)
        else:
            task = self.money.commit(reservation, final_amount(line, question.context["amount"], result))
        # Answered once the gate knows. If the gate does not answer, the client gets its result anyway.
        await asyncio.wait([task], timeout=5)

    def _settle_failure(
        self, reservation: AsyncReservation, error: BaseException, client: UpstreamClient
    ) -> None:
        if _may_have_acted(error, client):
            self.money.commit_unknown(reservation)
        else:
            self.money.void(reservation)


def _require_unchanged(entry: Entry, change: Change | None) -> None:
    if change is not None:
        text = (
            f"{entry.exposed} is blocked, because its definition is {change.what} since it was accepted. "
            f"The operator of the gateway sees the change with: agentgate gateway accept {entry.name}"
        )
        raise Denied("definition_changed", text)


def _asked(call: Call, caller: Caller) -> Asked:
    """Return the question with the caller's address and, in later rounds, the client's input."""
    try:
        require_few_values(call.arguments)
        asked = call.ask()
        given = _input_digest()
    except Refused as error:
        body = {"error": "invalid_request", "error_description": str(error), "reason": "arguments_refused"}
        raise Denied("arguments_refused", "", body) from None
    more = {"ip": caller.ip, "input": given}
    context = {**asked.question.context, **{key: value for key, value in more.items() if value}}
    return replace(asked, question=replace(asked.question, context=context))


def _input_digest() -> str | None:
    """Return the digest of the input that the upstream asked for in an earlier round, None if there is none.

    It is part of what is forwarded, so an approval must cover it. What the gateway asked itself is not.
    """
    context = get_context()
    given = {
        name: answer.model_dump(mode="json", by_alias=True)
        for name, answer in (context.input_responses or {}).items()
        if not name.startswith(OWN_INPUT)
    }
    require_few_values(given)
    state = context.request_state
    if not given and state is None:
        return None
    try:
        return canonical_digest({"responses": given, "state": state})
    except ValueError as error:
        raise Refused(f"The input cannot be approved, because {error}") from None


def _clear_meta() -> None:
    """Remove what clients add to a call beside its arguments: no approval could cover it."""
    context = get_context().request_context
    meta: Any = context.meta if context else None
    for name in list(meta or ()):
        if name not in _FORWARDED_META or not _FORWARDED_META[name](meta[name]):
            del meta[name]


def _key(call: Call, asked: Asked, caller: Caller) -> tuple[object, ...]:
    """Return a key that calls share only if one may get the result of the decision about another."""
    context = asked.question.context
    return (
        caller.user_id,
        caller.agent_id,
        caller.grant,
        caller.scopes,
        call.entry.kind,
        asked.question.resource,
        context.get("arguments"),
        context.get("definition"),
        context.get("input"),
    )


def _permit_of(caller: Caller, decision: Decision | None, reservation: AsyncReservation | None) -> Permit:
    user_id = (decision.user_id if decision else None) or caller.user_id or ""
    agent_id = (decision.agent_id if decision else None) or caller.agent_id or ""
    return Permit(user_id, agent_id, reservation)


def _may_have_acted(error: BaseException, client: UpstreamClient) -> bool:
    """Return whether the upstream may have acted, although it gave no result.

    It may act and then answer an error. Only a request that was not sent has certainly done nothing.
    """
    if isinstance(error, Denied):
        return False
    return error.sent if isinstance(error, UpstreamError) else client.sent
