import hashlib
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import Field

from limits.flows import KEPT_SECONDS, OUTBOUND, PRIVATE, UNTRUSTED, CarriedFlow, FlowRequest
from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.fields import Seconds
from policies.rules.ledger import Ledger
from policies.rules.words import Titles, period_in_words

MAX_TASK = 200
LABELS = (PRIVATE, UNTRUSTED, OUTBOUND)
# The connection's key is flow|actions|agent|user, that of a task has one more part, and that of calls without one ends
# in a star.
PREFIX, SEPARATORS, UNTASKED = "flow|", 3, "*"
THEN = {"ask": gettext_noop("the user is asked"), "deny": gettext_noop("the request is denied")}


@register("data_flow", title=gettext_noop("Data flow guard"))
class DataFlow(Rule):
    """Stop a task that has read private data and content that others wrote from sending data out.

    A task is `context.task` or, without it, everything that the agent does for the user. A request without a task can
    belong to any, so it counts for all. Scopes have the labels `private`, `untrusted` and `outbound`, and
    `context.labels` can add some for one request. Work that was handed on for a task also belongs to that one, which
    agents choose: so it can only add calls that count.
    """

    needs_counters = True

    window_seconds: Annotated[Seconds, Field(ge=1, le=KEPT_SECONDS, title=gettext_noop("Period"))]
    then: Annotated[
        Literal["ask", "deny"],
        Field(title=gettext_noop("Then"), json_schema_extra={"x-enumDescriptions": THEN}),
    ]

    def check(self, ctx: RuleContext) -> Denial | None:
        """Deny what cannot be read of a request. The rest is decided by `flow`, in the decision's transaction."""
        task = ctx.context.get("task")
        if task is not None and not (isinstance(task, str) and 0 < len(task) <= MAX_TASK):
            return Denial(f"context.task must be text with 1 to {MAX_TASK} characters.")
        if not _are_labels(_stated(ctx)):
            return Denial("context.labels must be a list of at most 3 of: private, untrusted, outbound.")
        return None

    def flow(self, ledger: Ledger, ctx: RuleContext) -> FlowRequest | None:
        """Return what the request means for the guard, or None if neither its scopes nor the service label it."""
        labels = ctx.labels.union(_stated(ctx))
        if labels.isdisjoint(LABELS):
            return None
        connection = self._connection(ctx, self.actions)
        marked = connection, _own_key(connection, ctx.context.get("task")), *_handed(connection, ctx)
        carried = tuple(self._carried(ledger, ctx)) if ledger.flows else ()
        watched = _watched(connection, ctx)
        return FlowRequest(marked, watched, labels, self.window_seconds, self.then == "ask", carried)

    def _carried(self, ledger: Ledger, ctx: RuleContext) -> Iterator[CarriedFlow]:
        """Yield the rows of guards with other actions, as they were at an edit within the window."""
        for actions, at in ledger.flows.items():
            if actions != tuple(sorted(self.actions)) and at + timedelta(seconds=self.window_seconds) >= ctx.now:
                for key in _watched(self._connection(ctx, actions), ctx):
                    yield CarriedFlow(key, at)

    @staticmethod
    def _connection(ctx: RuleContext, actions: tuple[str, ...]) -> str:
        return _connection_key(ctx.agent_id, ctx.user_id, actions, ctx.policies_of)

    def in_words(self, titles: Titles | None = None) -> str:
        if titles is not None:
            if self.then == "ask":
                return _(
                    "Once it has read your private data and text by others, it asks you before it sends anything out"
                )
            return _("Once it has read your private data and text by others, it can send nothing out")
        words = _("Let no data leave if private data and other people's content were read in the last %(window)s")
        if self.then == "ask":
            words = _(
                "Ask before data leaves if private data and other people's content were read in the last %(window)s"
            )
        return words % {"window": period_in_words(self.window_seconds)}


def task_key(connection_key: str, task: str) -> str:
    """Return the key of a task's row. The task may be personal, so the key has its digest."""
    return f"{connection_key}|{hashlib.sha256(task.encode(errors='surrogatepass')).hexdigest()[:32]}"


def _stated(ctx: RuleContext) -> Any:
    """Return the labels that the service adds for this request, which may be anything."""
    return ctx.context.get("labels", [])


def _are_labels(stated: Any) -> bool:
    return isinstance(stated, list) and len(stated) <= len(LABELS) and all(label in LABELS for label in stated)


def _own_key(connection_key: str, task: object) -> str:
    return task_key(connection_key, task) if isinstance(task, str) else connection_key + UNTASKED


def _handed(connection_key: str, ctx: RuleContext) -> tuple[str, ...]:
    """Return the row of the task for which the work was handed on, if there is one."""
    return (task_key(connection_key, ctx.task),) if ctx.task else ()


def _watched(connection_key: str, ctx: RuleContext) -> tuple[str, ...]:
    """Return the rows that say what a call may know. For the service, one without a task can belong to any."""
    task = ctx.context.get("task")
    if not isinstance(task, str):
        return (connection_key,)
    return _own_key(connection_key, task), connection_key + UNTASKED, *_handed(connection_key, ctx)


def connection_of(key: str) -> str | None:
    """Return the key of the connection's row if this is that or the row of its calls without a task."""
    is_connection = key.startswith(PREFIX) and key.count("|") == SEPARATORS
    return key.removesuffix(UNTASKED) if is_connection else None


def is_task_key(key: str) -> bool:
    return key.startswith(PREFIX) and key.count("|") > SEPARATORS


def guard_prefix(actions: tuple[str, ...], policies_of: str | None) -> str:
    """Return the beginning of the keys of all rows of guards with these `actions`, before the agent.

    Guards with the same `actions` share their rows, but not across organizations. An organization's guard sees only the
    requests that fall under its policies, whatever others guard or try out.
    """
    parts = [*sorted(actions), "", policies_of] if policies_of else sorted(actions)
    concerned = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16] if parts else ""
    return f"{PREFIX}{concerned}|"


@lru_cache(16_384)
def _connection_key(agent_id: str, user_id: str | None, actions: tuple[str, ...], policies_of: str | None) -> str:
    return f"{guard_prefix(actions, policies_of)}{agent_id}|{user_id or ''}"
