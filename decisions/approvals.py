"""Approvals in a batch: which requests their users have approved, and which users must be asked.

A batch that may ask locks one counter per connection. It counts how often the agent has asked, and it keeps two batches
from using one approval, or from asking twice for the same content. It also guards the counters of rules that users
accepted from their own answers, which are read with the approvals and exist only for targets that a rule has allowed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import orjson

from approvals.statuses import RULE_WINDOW_SECONDS, ApprovalStatus, fixed_fields
from core.canonical import canonical_json, sha256
from core.chains import Link
from core.ids import new_id
from core.money import read_units
from decisions.contexts import amount_for_log
from decisions.facts import ApprovalFacts, TokenFacts
from decisions.requests import VerifyRequest
from decisions.stores.statements import Statement, Step, spell_time
from limits.sliding_window import CounterRequest, LoadedCounter, counter_key

APPROVAL_REQUEST_LIFETIME = timedelta(hours=1)

WINDOW_SECONDS = 3600
# More requests of one agent within an hour are shown to the user together.
MAX_PROMPTS = 5
# Beyond this number, nothing is stored, and the agent must wait.
MAX_ASKED = 100


class Content:
    """What an approval covers: a request with all that its user decides about, without the caller's address.

    `service_id` is the resource server that asks with its credential or, for an anonymous caller, the one that it names
    and that the token is for. The two are different things: anyone who has the token can name a service.
    """

    def __init__(
        self,
        request: VerifyRequest,
        token: TokenFacts,
        service_id: str | None,
        chain: Sequence[Link] = (),
        ends: Sequence[datetime] = (),
    ) -> None:
        """`chain` are the agents from the first one to that of the token, if the work was handed on until `ends`."""
        self.request = request
        self.ends = [*ends, token.consent_end]
        self.chain = [[link.agent_id, link.delegation_id] for link in chain]
        self.token = token
        self.server_id = request.credential.server_id if request.credential else None
        self.named_server_id = None if request.credential else service_id
        self.context = {name: value for name, value in request.context.items() if name != "ip"}

    @property
    def counter(self) -> CounterRequest:
        """The counter of the connection's prompts, whose lock its approvals need. It never denies."""
        agent_id = self.chain[0][0] if self.chain else self.token.agent_id
        key = counter_key("ask", agent_id, self.token.user_id)
        return CounterRequest(key, MAX_ASKED, WINDOW_SECONDS)

    @cached_property
    def digest(self) -> str:
        return _digest(self._frame | {"context": self.context})

    @cached_property
    def target_digest(self) -> str:
        """What a standing approval covers. A request with an unreadable amount has a digest of its own."""
        target = fixed_fields(self.context)
        amount = amount_for_log(self.context)
        if amount is None:
            return _digest(self._frame | {"target": target})
        return _digest(self._frame | {"target": target, "currency": amount.get("currency", self.digest)})

    @property
    def units(self) -> int:
        """The amount in whole units of 10**-8, or 0 if it is missing or unreadable."""
        return read_units(self.context.get("amount"))

    @property
    def _frame(self) -> dict[str, Any]:
        return {
            "agent": self.token.agent_id,
            "consent": self.token.consent_id,
            "scopes": sorted(set(self.request.required_scopes)),
            "action": self.request.action,
            "resource": self.request.resource,
            "server": self.server_id,
            "namedServer": self.named_server_id,
            "audience": sorted(self.token.audience),
            **({"chain": self.chain} if self.chain else {}),
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """Why a user is asked, for the approval that is to be created: scopes whose mode is to ask, or a type of rule."""

    scopes: Sequence[str]
    rule_type: str
    is_critical: bool
    organization_id: str | None
    service_organization_id: str | None


class BatchApprovals:
    """The approvals that concern a batch, as read, and what the batch makes of them."""

    def __init__(
        self, rows: Iterable[ApprovalFacts], now: datetime, counters: Mapping[str, LoadedCounter] | None = None
    ) -> None:
        """`counters` are those of rules, by their key."""
        self._now = now
        self._counters = counters or {}
        live = sorted((row for row in rows if row.expires_at > now), key=lambda row: row.approval_id)
        self._once: dict[str, list[ApprovalFacts]] = {}
        self._standing: dict[str, list[ApprovalFacts]] = {}
        for row in live:
            if row.is_standing:
                self._standing.setdefault(row.target_digest, []).append(row)
            else:
                self._once.setdefault(row.digest, []).append(row)
        self._used: list[str] = []
        self._created: list[dict[str, Any]] = []

    def find(
        self, content: Content, asked: Collection[str], rule_type: str, *, once_only: bool = False
    ) -> ApprovalFacts | None:
        """Return the approval that covers the content, else the one that the user was asked for, else None.

        It must also cover why the user is asked now: the scopes that ask, and the type of a rule that does, or "".
        Only a denial counts whatever the reason was, even if a standing approval covers the content. With `once_only`,
        no standing approval counts: a scope may have become critical since it was given.
        """
        exact = self._once.get(content.digest, ())[::-1]
        standing = () if once_only else self._standing.get(content.target_digest, ())
        found = [
            *(row for row in exact if row.status == ApprovalStatus.DENIED or row.covers(asked, rule_type)),
            *(row for row in standing if row.covers(asked, rule_type) and self._has_room(row, content)),
        ]
        return min(found, key=_precedence, default=None)

    def use(self, approval: ApprovalFacts) -> None:
        """Use up an approval that covers one request. A standing one stays, and what a rule allows is counted."""
        if approval.is_standing:
            if approval.times_per_day is not None:
                self._counter_of(approval).take(1, self._now)
            return
        self._once[approval.digest].remove(approval)
        self._used.append(approval.approval_id)

    def _has_room(self, standing: ApprovalFacts, content: Content) -> bool:
        """Return whether the amount is within the ceiling, and the request within a rule's number per day."""
        if content.units > standing.units:
            return False
        most = standing.times_per_day
        return most is None or self._counter_of(standing).room(most, self._now) > 0

    def _counter_of(self, rule: ApprovalFacts) -> LoadedCounter:
        return self._counters[_rule_key(rule.target_digest)]

    def ask(self, content: Content, asked: Asked, counter: LoadedCounter) -> str | None:
        """Store a question to the user, and return its id, or None if the agent has asked too often."""
        number = counter.used(self._now)
        if number >= MAX_ASKED:
            return None
        counter.take(1, self._now)
        row = self._row(content, asked, is_held=number >= MAX_PROMPTS)
        self._created.append(row)
        created = ApprovalFacts(
            approval_id=row["id"],
            digest=content.digest,
            target_digest=content.target_digest,
            status=ApprovalStatus.PENDING,
            is_standing=False,
            expires_at=content.token.consent_end,
            context="{}",
            asked_scopes_json=orjson.dumps(row["asked_scopes"]).decode(),
            asked_by_rule=asked.rule_type,
            evidence=None,
        )
        self._once.setdefault(content.digest, []).append(created)
        return str(row["id"])

    def steps(self) -> list[Step]:
        """Return the steps that save all changes."""
        steps = []
        if self._used:
            steps.append(Step(Statement.USE_APPROVALS, (self._now, self._used)))
        if self._created:
            steps.append(Step(Statement.CREATE_APPROVALS, (orjson.dumps(self._created).decode(),)))
        return steps

    def _row(self, content: Content, asked: Asked, *, is_held: bool) -> dict[str, Any]:
        request, token = content.request, content.token
        ends = min(self._now + APPROVAL_REQUEST_LIFETIME, *content.ends)
        return {
            "id": new_id("apr"),
            "consent_id": token.consent_id,
            "user_id": token.user_id,
            "agent_id": token.agent_id,
            "server_id": content.server_id,
            "named_server_id": content.named_server_id,
            "audience": sorted(token.audience),
            "chain": content.chain or None,
            "organization_id": asked.organization_id,
            "service_organization_id": asked.service_organization_id,
            "digest": content.digest,
            "target_digest": content.target_digest,
            "is_critical": asked.is_critical,
            "is_held": is_held,
            "asked_scopes": list(asked.scopes),
            "asked_by_rule": asked.rule_type,
            "scopes": list(request.required_scopes),
            "action": request.action or "",
            "resource": request.resource or "",
            "context": content.context,
            "created_at": spell_time(self._now),
            "expires_at": spell_time(ends),
        }


def read_approvals(contents: Iterable[Content]) -> Step:
    """Return the step that reads the approvals of these contents. Send it once their counters are locked."""
    listed = list(contents)
    digests = sorted({content.digest for content in listed})
    return Step(Statement.APPROVALS, (digests, sorted({content.target_digest for content in listed})))


def rule_windows(contents: Iterable[Content]) -> dict[str, int]:
    """Return the counters of rules about these contents, by key, with their window in seconds."""
    return {_rule_key(content.target_digest): RULE_WINDOW_SECONDS for content in contents}


def _rule_key(target_digest: str) -> str:
    """Return the key of the counter that all rules about a target share. The digest includes the connection.

    A rule that is accepted again after it was undone continues to count there.
    """
    return counter_key("rule", target_digest)


def _precedence(row: ApprovalFacts) -> int:
    """Return the place of a row in the order in which rows count: denied, approved once, standing, rule, pending."""
    if row.status == ApprovalStatus.DENIED:
        return 0
    if row.status == ApprovalStatus.PENDING:
        return 4
    if row.is_standing:
        return 2 if row.evidence is None else 3
    return 1


def _digest(content: dict[str, Any]) -> str:
    return sha256(canonical_json(content))
