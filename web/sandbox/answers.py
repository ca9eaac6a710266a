"""What verify answered in the sandbox, explained to the developer: why, and what to do about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from decisions.requests import Reason
from decisions.sandbox import ALLOWED, Asked

type Words = str | Promise

ALLOWED_WORDS = gettext_lazy("The user granted it, and no limit or policy stands against it.")
REASONS: Mapping[str, tuple[Words, Words]] = {
    Reason.INVALID_TOKEN: (
        gettext_lazy("The user allowed nothing, so the agent has no token."),
        gettext_lazy("Start another trial and allow something."),
    ),
    Reason.INSUFFICIENT_SCOPE: (
        gettext_lazy("The user did not allow this permission."),
        gettext_lazy("Ask for it again when the user needs it, and do without it until then."),
    ),
    Reason.APPROVAL_REQUIRED: (
        gettext_lazy("The user must approve this request first."),
        gettext_lazy(
            "Send the user to the page of the approval, wait for the answer, then send the same request again."
        ),
    ),
    Reason.AGENT_SUSPENDED: (
        gettext_lazy("The agent is suspended or stopped."),
        gettext_lazy("Reactivate it. If an administrator stopped it, only they can lift the stop."),
    ),
    Reason.SERVICE_SUSPENDED: (
        gettext_lazy("An administrator has stopped all agents."),
        gettext_lazy("Wait until the stop is lifted."),
    ),
}
POLICY = (
    gettext_lazy("One of your policies denied it."),
    gettext_lazy("Change the request, or the policy."),
)
LIMIT = (
    gettext_lazy("A limit that the user set denied it."),
    gettext_lazy("Stay within the limit. Only the user can change it."),
)
OTHER = (gettext_lazy("Verify denied it."), gettext_lazy("Look up the reason in the documentation of verify."))


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with its answer in words. `remedy` is empty if it was allowed."""

    asked: Asked
    why: Words
    remedy: Words = ""

    @property
    def policy_name(self) -> str:
        """The policy that decided, as it was called then. Empty if none did."""
        return str(self.asked.metadata.get("policyName", ""))

    @property
    def detail(self) -> str:
        """What the rule said, in its own words."""
        return str(self.asked.metadata.get("detail", ""))

    @property
    def response_text(self) -> str:
        """The members of verify's response that say yes or no."""
        is_allowed = self.asked.answer == ALLOWED
        return json.dumps(
            {"allowed": True} if is_allowed else {"allowed": False, "reason": self.asked.reason}, indent=2
        )


def explain(asked: Asked) -> Answer:
    """Return the answer in words."""
    if asked.answer == ALLOWED:
        return Answer(asked, ALLOWED_WORDS)
    if asked.reason == Reason.POLICY_DENIED:
        return Answer(asked, *(LIMIT if asked.metadata.get("limitedBy") == "user" else POLICY))
    return Answer(asked, *REASONS.get(asked.reason or "", OTHER))
