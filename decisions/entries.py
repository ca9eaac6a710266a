"""The log entry of a decision."""

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from core.actor import Actor
from decisions.contexts import amount_for_log, context_for_log
from decisions.judgement import Judgement
from decisions.requests import VerifyRequest

# The response has all missing scopes, and the entry all required ones, so the log needs no second long list.
MAX_LOGGED_MISSING = 10


def draft_entry(judgement: Judgement) -> Draft:
    """Return the entry that a judgement leaves in the log."""
    request, decision, service = judgement.question.request, judgement.decision, judgement.service_organization_id
    policy, asker = decision.policy, request.asker
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
        policy_id=policy.policy_id if policy else None,
        policy_organization_id=judgement.denying_organization_id,
        reason=decision.reason,
        action=request.action,
        scopes=tuple(request.required_scopes),
        resource=request.resource,
        metadata=_metadata(judgement),
        personal={} if is_introspection else _personal(request, asker),
    )


def _personal(request: VerifyRequest, asker: Actor) -> dict[str, object]:
    forwarded = {"forwardedUserAgent": request.actor.user_agent} if request.is_forwarded else {}
    if not request.context:
        return {"ip": request.ip, "callerIp": asker.ip, **forwarded}
    return {
        "ip": request.ip,
        "callerIp": asker.ip,
        "amount": amount_for_log(request.context),
        "context": context_for_log(request.context),
        **forwarded,
    }


def _metadata(judgement: Judgement) -> dict[str, object]:
    request, decision, policy = judgement.question.request, judgement.decision, judgement.decision.policy
    metadata: dict[str, object] = {"tokenId": decision.token_id}
    if request.is_introspection and request.credential:
        metadata["resourceServerId"] = request.credential.server_id
    if decision.missing_scopes:
        metadata["missingScopes"] = list(decision.missing_scopes[:MAX_LOGGED_MISSING])
    if policy is not None:
        metadata["ruleType"] = policy.rule_type
        metadata["ruleIndex"] = policy.rule_index
        metadata["policyName"] = policy.policy_name
        metadata["detail"] = policy.detail
    return metadata
