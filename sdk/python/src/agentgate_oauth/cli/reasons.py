"""The texts of `agentgate explain`: what each reason of a denial means, and what to do."""

from __future__ import annotations

# For each reason of the API: what happened, and what the caller can do, including whether to retry.
REASONS = {
    "invalid_token": (
        "The token is not an access token of this AgentGate, or it is damaged. Such requests are not logged.",
        "Check that the agent and the service use the same AgentGate, and that the token is sent unchanged. "
        "Retrying with the same token does not help.",
    ),
    "token_expired": (
        "The access token had expired.",
        "Refresh the token and retry at once. Sessions of the Python SDK refresh by themselves.",
    ),
    "token_revoked": (
        "The token had been revoked.",
        "Retrying and refreshing do not help. Ask the user for consent again to get new tokens.",
    ),
    "service_suspended": (
        "An administrator had suspended the organization whose service was called, or it is being deleted.",
        "Retry after an administrator of AgentGate has lifted the suspension.",
    ),
    "organization_suspended": (
        "An administrator had suspended the agent's organization.",
        "Retry after an administrator of AgentGate has lifted the suspension.",
    ),
    "organization_stopped": (
        "The agent's organization had stopped all its agents, or is being deleted.",
        "Retry after an owner or admin of the organization has lifted the stop.",
    ),
    "agent_suspended": (
        "The agent had been suspended.",
        "Retry after the suspension ends. Lift your own suspension with: agentgate agents activate AGENT. "
        "Only an administrator lifts an administrator's stop.",
    ),
    "user_inactive": (
        "The user's account was not active.",
        "Retrying does not help until an administrator reactivates the account.",
    ),
    "delegation_ended": (
        "Another agent had handed the work on, and that had ended: the delegation, one above it, or what an "
        "agent above may do.",
        "Retrying and refreshing do not help. Ask the delegating agent to hand the work on again.",
    ),
    "consent_revoked": (
        "The user's consent had been revoked.",
        "Retrying does not help. Ask the user for consent again, and give a reason.",
    ),
    "consent_expired": (
        "The user's consent had expired.",
        "Retrying does not help. Ask the user for consent again.",
    ),
    "consent_paused": (
        "The user had paused the agent.",
        "Retry after the user has resumed it. No new consent is needed.",
    ),
    "wrong_audience": (
        "The token was issued for another resource server.",
        "Ask for consent with `resource` set to the identifier of the service that the agent calls. "
        "List your services with: agentgate resource-servers list",
    ),
    "insufficient_scope": (
        "The user had not granted every scope that the call needs.",
        "Ask the user for consent to the missing scopes, then retry with the new token.",
    ),
    "policy_denied": (
        "A policy denied the call.",
        "Stay within the policy, or change it. For a rate limit or a time window, retry later.",
    ),
    "approval_required": (
        "The call needs the user's approval each time.",
        "Send the user to the approval link of the decision. Retry the same call after the approval.",
    ),
}

# Of an action that no scope covers.
NO_SCOPE = (
    "No scope covers the action.",
    "Retrying does not help: no consent of the user allows it. If its prefix is that of your own "
    "scopes, let one of them cover it.",
)

# For an approval: what happened and what to do, unless it is still waiting for the user.
APPROVAL_DENIED = (
    "The user denied this request.",
    "Do not send it again. Within an hour of the first time, it is denied without asking the user.",
)
NOT_ASKED = (
    "The call needs the user's approval each time, but the agent has asked the user too often.",
    "Send fewer calls that need an approval, and this one again later.",
)

# Denials without a reason in the API.
EVENTS = {
    "consent.denied": (
        "The user denied the consent request.",
        "Ask again with a clearer reason or fewer scopes.",
    ),
    "token.replayed": (
        "A one-time credential was used a second time.",
        "Ask the user for consent again. Make sure that only one process uses each refresh token, "
        "as the SDK's stores do.",
    ),
    "user.sign_in_failed": ("The password was wrong.", "Sign in with the right password, or reset it."),
}

# Earlier events that explain a denial.
CAUSES = {
    "token.revoked": "The tokens of that session were revoked",
    "agent.suspended": "Your organization suspended the agent",
    "agent.stopped": "An administrator stopped the agent",
    "consent.revoked": "The consent was revoked",
    "delegation.ended": "The delegation, or one above it, was ended",
}
