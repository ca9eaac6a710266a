"""A developer's first steps. The log alone decides which are done."""

from collections.abc import Collection
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audit.events import Event


@dataclass(frozen=True, slots=True)
class Step:
    """A step. An entry of any of `events` shows that it is done. `name` chooses what the page offers for it."""

    name: str
    title: Promise
    text: Promise
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step as the page shows it. `seen` is the event that shows that it is done, or "".

    `is_next` marks the first step that is not done.
    """

    step: Step
    seen: str
    is_next: bool

    @property
    def is_done(self) -> bool:
        return self.seen != ""


STEPS = (
    Step(
        "agent",
        _("Register an agent"),
        _("It gets a client ID and a client secret, and may ask users only for the scopes that you choose."),
        (Event.AGENT_CREATED,),
    ),
    Step(
        "consent",
        _("Give a consent"),
        _("See what users will see. The program of the next step asks for consent, and you decide in the browser."),
        (Event.CONSENT_APPROVED,),
    ),
    Step(
        "exchange",
        _("Exchange a code for a token"),
        _("A program asks for your consent and exchanges the code that it gets."),
        (Event.TOKEN_ISSUED,),
    ),
    Step(
        "verify",
        _("Ask verify"),
        _("The last lines of the program ask whether the agent may act. Services do that before each action."),
        (Event.TOKEN_VERIFY,),
    ),
)
EVENTS = frozenset(event for step in STEPS for event in step.events)
# An organization's first verify request completes its first run.
LAST = Event.TOKEN_VERIFY


def stages(occurred: Collection[str]) -> list[Stage]:
    """Return the steps, given the `EVENTS` that are in the log."""
    seen = [next((event for event in step.events if event in occurred), "") for step in STEPS]
    following = seen.index("") if "" in seen else len(seen)
    return [Stage(step, seen[place], place == following) for place, step in enumerate(STEPS)]
