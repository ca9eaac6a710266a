"""Exchange and refresh in threads of the front. Unusual requests, such as invalid ones, are left to Django's views."""

from collections.abc import Callable
from functools import partial

from agents.models import Agent
from api.clients import client_of
from api.inquiries import HEADERS
from api.parsers import parse_object
from api.v1.direct import fail, headers_of, require_json_post
from api.v1.schemas.tokens import ClientBody, ExchangeBody, RefreshBody, TokensOut
from api.v1.tokens import Exchange, Refresh, exchange, refresh
from core.actor import Actor
from core.http import named_client
from core.messages import NotDirect, Reply, Request, ThreadEndpoint, ThreadWork
from core.validation import parse

# Usual ones have less than 1 KB. The event loop parses no longer ones.
MAX_BODY = 16 * 1024
# The first asks for an answer that may be stored already. The middleware would replace unreadable cookies.
LEFT_TO_DJANGO = ("idempotency-key", "cookie")


def _read[Body: ClientBody](
    model: type[Body], issue: Callable[[Agent, Body, Actor], TokensOut], request: Request, actor: Actor
) -> ThreadWork:
    require_json_post(request)
    if len(request.body) > MAX_BODY or any(name in request.headers for name in LEFT_TO_DJANGO):
        raise NotDirect
    body = parse(model, parse_object(request.body))
    return ThreadWork(named_client(request.headers, body.client_id), partial(_answer, body, issue, request, actor))


def _answer[Body: ClientBody](
    body: Body, issue: Callable[[Agent, Body, Actor], TokensOut], request: Request, actor: Actor
) -> Reply:
    agent = client_of(request.headers, body, actor)
    tokens = issue(agent, body, actor.acting_as("agent", agent.id))
    return Reply(200, HEADERS, tokens.model_dump_json(exclude_unset=True).encode())


def _fail(error: BaseException, request: Request, request_id: str) -> Reply:
    return fail(error, request_id)


ENDPOINTS = {
    "/api/v1/tokens/exchange": ThreadEndpoint(partial(_read, ExchangeBody, exchange), _fail, headers_of(Exchange)),
    "/api/v1/tokens/refresh": ThreadEndpoint(partial(_read, RefreshBody, refresh), _fail, headers_of(Refresh)),
}
