"""What verify answered in the sandbox, explained to the developer: why, and what to do about it."""

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy

from decisions.requests import Reason
from decisions.whatif.sandbox import ALLOWED, Asked
from decisions.wording import Words, explain_denial
from web.wording.rulings import Ruling, read_ruling

ALLOWED_WORDS = gettext_lazy("The user granted it, and no limit or policy prevents it.")
NO_TOKEN = (
    gettext_lazy("The user allowed nothing, so the agent has no token."),
    gettext_lazy("Start another trial and allow something."),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with its answer in words. `remedy` is empty if it was allowed."""

    asked: Asked
    why: Words
    remedy: Words = ""
    ruling: Ruling | None = None

    @property
    def response_text(self) -> str:
        """The members of verify's response that say yes or no."""
        is_allowed = self.asked.answer == ALLOWED
        return json.dumps(
            {"allowed": True} if is_allowed else {"allowed": False, "reason": self.asked.reason}, indent=2
        )


def explain_all(questions: Sequence[Asked], existing: Container[str]) -> list[Answer]:
    """Return the answers in words, in order. `existing` are the ids of policies that have a page."""
    return [_explain(asked, existing) for asked in questions]


def _explain(asked: Asked, existing: Container[str]) -> Answer:
    if asked.answer == ALLOWED:
        return Answer(asked, ALLOWED_WORDS)
    if asked.reason == Reason.INVALID_TOKEN:
        return Answer(asked, *NO_TOKEN)
    ruling = read_ruling(asked.policy_id, asked.metadata, existing)
    explanation = explain_denial(asked.reason, asked.metadata)
    return Answer(asked, explanation.why, explanation.remedy, ruling)
