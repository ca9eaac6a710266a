"""Reasons of a denial in plain words: what happened, and what would help."""

from __future__ import annotations

from ..models import AuditEntry, Policy

_REASONS = {
    "invalid_token": ("the token was not one of AgentGate's", "Ask for consent and exchange the code."),
    "token_expired": ("the access token had ended", "Refresh it; the SDK's sessions do so by themselves."),
    "token_revoked": ("the token had been revoked", "Ask the person for consent again."),
    "service_suspended": (
        "the service's organization was suspended",
        "An administrator must lift the suspension.",
    ),
    "organization_suspended": (
        "the agent's organization was suspended",
        "An administrator must lift the suspension.",
    ),
    "agent_suspended": (
        "the agent was suspended",
        "See who stopped it with: agentgate agents show AGENT_ID",
    ),
    "user_inactive": ("the person's account is not active", "Nothing that an agent could do."),
    "consent_revoked": ("the person had revoked the consent", "Ask for consent again, and say why."),
    "consent_expired": ("the consent had ended", "Ask the person for consent again."),
    "consent_paused": ("the person had paused the agent", "Wait until they resume it."),
    "wrong_audience": ("the token was meant for another service", "Ask for consent with this `resource`."),
    "insufficient_scope": (
        "the person had not granted every scope that was needed",
        "Ask for consent to the missing scopes.",
    ),
    "policy_denied": ("a policy denied it", "Change the policy, or act within it."),
    "approval_required": ("it needs the person's approval each time", "Send them to the approval's link."),
}


def explain_entry(entry: AuditEntry, policy: Policy | None) -> str:
    """Return why the entry's outcome is what it is, in a few sentences."""
    subject = f"{entry.id}, {entry.timestamp:%Y-%m-%d %H:%M:%S} UTC: {entry.agent_id or 'an agent'}"
    wanted = " and ".join(part for part in (entry.action, ", ".join(entry.scopes or ())) if part)
    if entry.outcome != "denied":
        return f"{subject} was not denied: the outcome was {entry.outcome}."
    what, help_ = _REASONS.get(
        entry.reason or "", (f"the reason was {entry.reason}", "See the documentation.")
    )
    return f"{subject} was denied {wanted or 'a request'}, because {what}.{_policy(entry, policy)} {help_}"


def _policy(entry: AuditEntry, policy: Policy | None) -> str:
    if entry.policy_id is None:
        return ""
    if policy is None:
        return f" The policy was {entry.policy_id}, which is gone."
    rules = ", ".join(f"{rule.type} {dict(rule.config)}" for rule in policy.rules)
    return f" The policy was “{policy.name}” ({policy.id}), whose rules are: {rules}."
