"""Explain denials in sentences: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..models import AuditEntry, Decision, Policy, Rule
from .failures import USAGE, Failure
from .reasons import APPROVAL_DENIED, CAUSES, EVENTS, NO_SCOPE, NOT_ASKED, REASONS
from .rule_descriptions import describe_rule, what_helps
from .search import metadata_of, shifted


@dataclass(frozen=True)
class Denial:
    """An entry with its agent and policy as they are now. `cause` is the earlier entry that led to it."""

    entry: AuditEntry
    agent_name: str | None = None
    policy: Policy | None = None
    cause: AuditEntry | None = None


@dataclass(frozen=True)
class Explanation:
    """What happened, in sentences, and what to do."""

    sentences: tuple[str, ...]
    what_helps: str = ""


def explain_reason(reason: str) -> Explanation:
    """Explain a reason of the API. Raises Failure if this version does not know it."""
    if reason not in REASONS:
        hint = f"Give a log_ id, or one of: {', '.join(REASONS)}"
        raise Failure("unknown_reason", f"“{reason}” is not a reason.", hint=hint, exit_code=USAGE)
    what, helps = REASONS[reason]
    return Explanation((what,), helps)


def explain_entry(denial: Denial) -> Explanation:
    entry = denial.entry
    if entry.event == "policy.shadowed":
        return _explain_shadow(denial)
    if entry.outcome != "denied":
        return Explanation((_headline(denial), "Nothing was denied."))
    what, helps = _what_and_help(denial)
    cause = () if denial.cause is None else (_cause(denial.cause),)
    return Explanation((_headline(denial), what, *cause), helps)


def decision_in_words(decision: Decision) -> str:
    """Return why a request was denied."""
    if decision.approval_status == "denied":
        return APPROVAL_DENIED[0]
    if decision.reason == "insufficient_scope" and not decision.missing_scopes:
        return NO_SCOPE[0]
    return reason_in_words(decision.reason or "")


def reason_in_words(reason: str) -> str:
    return REASONS[reason][0] if reason in REASONS else f"The reason is {reason}."


def _explain_shadow(denial: Denial) -> Explanation:
    metadata = metadata_of(denial.entry)
    would = "asked the user first" if metadata.get("wouldBe") == "asked" else "denied it"
    policy = f"“{metadata.get('policyName', '')}” ({denial.entry.policy_id})"
    what = f"The shadow policy {policy} would have {would} by its {metadata.get('ruleType')} rule."
    detail = str(metadata.get("detail") or "")
    helps = f"To put it into force: agentgate policies update {denial.entry.policy_id} --mode enforce"
    return Explanation(tuple(filter(None, (_headline(denial), what, detail, "Nothing was denied."))), helps)


def _what_and_help(denial: Denial) -> tuple[str, str]:
    entry = denial.entry
    if entry.event == "token.replayed":
        return _cause(entry), EVENTS[entry.event][1]
    if entry.reason is None:
        return EVENTS.get(entry.event, ("The log gives no reason.", ""))
    what, helps = REASONS.get(entry.reason, (reason_in_words(entry.reason), ""))
    if entry.reason == "policy_denied":
        rule = _denying_rule(denial)
        rule_type = str(metadata_of(entry).get("ruleType"))
        seconds = metadata_of(entry).get("retryAfterSeconds")
        fits_at = shifted(entry.timestamp, seconds) if isinstance(seconds, int) else None
        return _policy_sentence(denial, rule), what_helps(rule_type, fits_at)
    if entry.reason == "approval_required":
        return _about_approval(metadata_of(entry), what, helps)
    if entry.reason == "insufficient_scope":
        missing = metadata_of(entry).get("missingScopes")
        granted_not = f"The user had not granted {', '.join(missing or ())}, which the call needs."
        return (granted_not, helps) if missing else NO_SCOPE
    return what, helps


def _about_approval(metadata: Mapping[str, Any], what: str, helps: str) -> tuple[str, str]:
    if metadata.get("approvalStatus") == "denied":
        return APPROVAL_DENIED
    return NOT_ASKED if "retryAfterSeconds" in metadata else (what, helps)


def _headline(denial: Denial) -> str:
    entry = denial.entry
    agent = f"{denial.agent_name} ({entry.agent_id})" if denial.agent_name else entry.agent_id
    wanted = ", ".join(dict.fromkeys(name for name in (entry.action, *(entry.scopes or ())) if name))
    user = f" on behalf of {entry.user_id}" if entry.user_id else ""
    when = f"on {entry.timestamp:%Y-%m-%d at %H:%M:%S} UTC"
    if entry.event == "token.verify":
        outcome = "denied" if entry.outcome == "denied" else "allowed"
        return f"The agent {agent} asked for {wanted}{user} {when} and was {outcome} ({entry.id})."
    about = (wanted and f" for {wanted}", agent and f" by the agent {agent}", user)
    return f"{entry.event}{''.join(part for part in about if part)} {when} ({entry.id})."


def _policy_sentence(denial: Denial, rule: Rule | None) -> str:
    metadata = metadata_of(denial.entry)
    rule_type = metadata.get("ruleType", "unknown")
    limited_by = metadata.get("limitedBy")
    if limited_by == "user":
        return f"A limit that the user set denied it, of type {rule_type}."
    if limited_by == "delegation":
        delegation = metadata.get("delegationId")
        return f"A limit of the delegation {delegation} denied it, of type {rule_type}."
    if denial.entry.policy_id is None:
        return f"A policy of the service's organization denied it by a rule of type {rule_type}."
    name = metadata.get("policyName", "")
    now = (
        f"The rule: {describe_rule(rule)}."
        if rule
        else "The policy has been changed or deleted since, or this key cannot read it."
    )
    denied = f"The policy “{name}” ({denial.entry.policy_id}) denied it by its {rule_type} rule."
    return " ".join(part for part in (denied, metadata.get("detail", ""), now) if part)


def _denying_rule(denial: Denial) -> Rule | None:
    """Return the rule that denied, None if the policy was deleted or now has another rule at its index."""
    metadata = metadata_of(denial.entry)
    index, rules = metadata.get("ruleIndex"), denial.policy.rules if denial.policy else ()
    if not isinstance(index, int) or index >= len(rules) or rules[index].type != metadata.get("ruleType"):
        return None
    return rules[index]


def _cause(entry: AuditEntry) -> str:
    when = f"on {entry.timestamp:%Y-%m-%d at %H:%M:%S} UTC ({entry.id})"
    if entry.event == "token.replayed":
        credential = (
            "An authorization code" if metadata_of(entry).get("kind") == "code" else "A refresh token"
        )
        return (
            f"{credential} was used a second time {when}. Each works once. AgentGate treats a second "
            "use as theft, so it ended every token of that session."
        )
    reason = metadata_of(entry).get("reason")
    return f"{CAUSES[entry.event]} {when}." + (f" The reason given: {reason}" if reason else "")
