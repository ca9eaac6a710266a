"""The log entries of decisions."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from audit.entries.drafts import AMOUNT, OWN_REQUEST_ID, Draft, personal_parts, prepare
from audit.entries.facets import INDEXED_SCOPES
from audit.entries.journal import Journaled, check_amount, encode_entry, encode_parts
from audit.entries.templates import Template, template_of
from audit.events import Event, Outcome
from core.clock import rfc3339
from core.ids import new_id
from decisions.basis import Basis
from decisions.contexts import amount_for_log, context_for_log
from decisions.judgement import Judgement, Shadow, is_of_delegation, is_users_own
from decisions.requests import Decision, VerifyRequest
from decisions.settling import Settling
from limits.reservations import name_in_log
from policies.engine import Outcome as RuleOutcome
from policies.engine import PolicyDenial

# The response has all missing scopes. The entry has all required ones, so it needs no second long list.
MAX_LOGGED_MISSING = 10


class Entries(NamedTuple):
    """New entries, encoded for the journal, and their ids, in the same order."""

    ids: Sequence[str]
    encoded: Sequence[Journaled]


def encode_entries(judgements: Sequence[Judgement], shadows: Sequence[Draft], now: datetime) -> Entries:
    """Return the entries of decisions at `now`, and after them those of shadow policies.

    Raises `ValueError` if the log could not take one.
    """
    timestamp = rfc3339(now)
    entries = [_encode(judgement, now, timestamp) for judgement in judgements]
    for prepared in prepare(shadows, now):
        entries.append((prepared.id, encode_entry(prepared)))
    return Entries([entry_id for entry_id, _ in entries], [encoded for _, encoded in entries])


def _encode(judgement: Judgement, now: datetime, timestamp: str) -> tuple[str, Journaled]:
    basis = _recurring_basis(judgement)
    if basis is not None and basis.template is not None:
        return _fill(basis.template, judgement.question.request, timestamp)
    (prepared,) = prepare([draft_entry(judgement)], now)
    encoded = encode_entry(prepared)
    if basis is not None:
        basis.template = template_of(prepared, encoded)
    return prepared.id, encoded


def _recurring_basis(judgement: Judgement) -> Basis | None:
    """Return the basis of a decision whose record follows from it: a service was allowed to go on, nothing else."""
    decision, request = judgement.decision, judgement.question.request
    is_plain = decision.allowed and decision.approval_id is None and decision.reservation_id is None
    if not is_plain or request.credential is None or not OWN_REQUEST_ID.fullmatch(request.actor.request_id):
        return None
    return judgement.basis


def _fill(template: Template, request: VerifyRequest, timestamp: str) -> tuple[str, Journaled]:
    """Return an entry whose record is that of the template. What is personal differs with each request."""
    ip, user_agent = (None, "") if request.is_forwarded else (request.actor.ip, request.actor.user_agent)
    others = {} if request.is_introspection else _personal(request, ip, is_reserved=False)
    personal = personal_parts(ip, user_agent, request.resource, others)
    check_amount(personal.get(AMOUNT))
    entry_id = new_id("log")
    record = template.fill(entry_id, request.actor.request_id, timestamp)
    return entry_id, Journaled(record, encode_parts(personal), ())


def draft_entry(judgement: Judgement) -> Draft:
    """Return the entry that a judgement leaves in the log."""
    request, decision, service = judgement.question.request, judgement.decision, judgement.service_organization_id
    policy_id, _rule = rule_for_log(decision)
    asker = request.asker
    is_introspection = request.is_introspection
    return Draft(
        event=Event.TOKEN_INTROSPECTED if is_introspection else Event.TOKEN_VERIFY,
        outcome=Outcome.ALLOWED if decision.allowed else Outcome.DENIED,
        actor=asker,
        organization_id=judgement.organization_id,
        service_organization_ids=(service,) if service else (),
        user_id=decision.user_id,
        agent_id=decision.agent_id,
        consent_id=decision.consent_id,
        policy_id=policy_id,
        policy_organization_id=judgement.denying_organization_id,
        reason=decision.reason,
        action=request.action,
        scopes=tuple(request.required_scopes),
        resource=request.resource,
        metadata=_metadata(judgement),
        chain=decision.chain,
        personal={} if is_introspection else _personal(request, asker.ip, is_reserved=bool(decision.reservation_id)),
    )


def draft_shadows(judgement: Judgement, settling: Settling) -> Iterator[Draft]:
    """Yield an entry for each shadow policy that would have stopped an allowed request, and count it in the others."""
    if not judgement.decision.allowed:
        return
    has_user = judgement.decision.user_id is not None and judgement.decision.consent_id is not None
    for shadow in judgement.shadows:
        verdict = settling.find_verdict(shadow.evaluation, has_user=has_user)
        if verdict.denial is not None:
            yield _draft_shadow(judgement, shadow, verdict.denial, verdict.outcome)
        else:
            settling.count(shadow.evaluation, judgement)


def _draft_shadow(judgement: Judgement, shadow: Shadow, denial: PolicyDenial, outcome: RuleOutcome) -> Draft:
    """Return an entry in the log of the policy's organization only. It repeats nothing personal of the decision."""
    request, decision = judgement.question.request, judgement.decision
    return Draft(
        event=Event.POLICY_SHADOWED,
        actor=request.asker._replace(ip=None, user_agent=""),
        organization_id=shadow.organization_id,
        agent_id=decision.agent_id,
        policy_id=denial.policy_id,
        policy_organization_id=shadow.organization_id,
        action=request.action,
        scopes=tuple(request.required_scopes),
        metadata={"wouldBe": outcome.value, "ruleType": denial.rule_type, **_rule_of(denial), **_indexed(judgement)},
    )


def rule_for_log(decision: Decision) -> tuple[str | None, dict[str, object]]:
    """Return the id of the policy that decided and what the entry says of its rule: of a user's own limit the type."""
    rule = decision.policy
    if rule is None:
        return None, {}
    if is_users_own(rule, decision):
        return None, {"ruleType": rule.rule_type, "limitedBy": "user"}
    if is_of_delegation(rule, decision):
        return None, {"ruleType": rule.rule_type, "limitedBy": "delegation", "delegationId": rule.policy_id}
    return rule.policy_id, {"ruleType": rule.rule_type, **_rule_of(rule)}


def _rule_of(denial: PolicyDenial) -> dict[str, object]:
    return {"ruleIndex": denial.rule_index, "policyName": denial.policy_name, "detail": denial.detail}


def _personal(request: VerifyRequest, caller_ip: str | None, *, is_reserved: bool) -> dict[str, object]:
    forwarded = {"forwardedUserAgent": request.actor.user_agent} if request.is_forwarded else {}
    if not request.context:
        return {"ip": request.ip, "callerIp": caller_ip, **forwarded}
    return {
        "ip": request.ip,
        "callerIp": caller_ip,
        "amount": amount_for_log(request.context, is_reserved=is_reserved),
        **context_for_log(request.context, request.encoded_context),
        **forwarded,
    }


def _indexed(judgement: Judgement) -> dict[str, object]:
    indexed = judgement.indexed_scopes
    return {} if indexed is None else {INDEXED_SCOPES: list(indexed)}


def what_is_missing(decision: Decision) -> dict[str, object]:
    """Return the first scopes that would help, if any. Without one, `insufficient_scope` is for the action."""
    missing = decision.missing_scopes[:MAX_LOGGED_MISSING]
    return {"missingScopes": list(missing)} if missing else {}


def _what_helps(decision: Decision) -> dict[str, object]:
    """Return the approval that was used or is required, whether its user has denied, and for how long to wait."""
    found = {
        "approvalId": decision.approval_id,
        "approvalStatus": decision.approval_status and decision.approval_status.value,
        "retryAfterSeconds": decision.retry_after_seconds,
    }
    return {name: value for name, value in found.items() if value is not None}


def _metadata(judgement: Judgement) -> dict[str, object]:
    request, decision = judgement.question.request, judgement.decision
    metadata: dict[str, object] = {"tokenId": decision.token_id, **_indexed(judgement)}
    if request.is_introspection and request.credential:
        metadata["resourceServerId"] = request.credential.server_id
    metadata |= what_is_missing(decision) | _what_helps(decision)
    if decision.reservation_id is not None:
        server_id = request.credential.server_id if request.credential else None
        metadata["reservationId"] = name_in_log(decision.reservation_id, server_id)
        if decision.chain and decision.reservation_expires_at:
            # A verifier adds up what the delegations above hold, and a lapse is logged later than it happens.
            metadata["heldUntil"] = rfc3339(decision.reservation_expires_at)
    if judgement.asked_scopes and not decision.allowed:
        metadata["askedScopes"] = list(judgement.asked_scopes)
    return metadata | rule_for_log(decision)[1]
