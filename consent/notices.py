"""Emails that tell a user that an agent may do something new."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.account_mails import origin, reset_link
from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Item, Link, Occasion, mail
from accounts.models import User
from accounts.notices import add_notice
from agents.mails import asking_agent, permission
from consent.connections import Change
from consent.delegation import DEVELOPER, VERIFIED
from consent.models import Consent
from core.actor import Actor
from core.formats import exactly

# Permissions of high or critical risk, which come first, and those of other risks. More would exceed what mail programs
# show of an email.
HIGH, MAX_GRAVE, MAX_OTHERS = 3, 30, 8
# What a notice keeps of each scope.
SHOWN = ("id", "title", "riskLevel")


def announce_grant(*, actor: Actor, consent: Consent, user: User, change: Change, at: datetime) -> None:
    """Mail the user what an approval newly allows, if they want such mails. A mere renewal allows nothing new."""
    wider = change.wider if user.grant_mails else []
    if not wider:
        return
    # With the titles that the user was shown: those of the catalogue and of organizations can change.
    scopes = [{name: scope[name] for name in SHOWN} for scope in change.shown if scope["id"] in wider]
    facts = {"consent": consent.id, "scopes": scopes, **({"delegation": True} if change.is_handed_wider else {})}
    add_notice("access_widened" if change.replaced else "access_granted", user=user, actor=actor, at=at, facts=facts)


@mail("access_granted")
def access_granted(occasion: Occasion) -> Content:
    what = _("This agent may now act for you until %(end)s. It may:")
    return _access(occasion, _("An agent may now act for you"), what)


@mail("access_widened")
def access_widened(occasion: Occasion) -> Content:
    what = _("This agent may now do more for you than before until %(end)s. New or extended permissions:")
    return _access(occasion, _("An agent may now do more for you"), what)


def _access(occasion: Occasion, subject: str, what: str) -> Content:
    consent = Consent.objects.select_related("agent__organization").get(pk=occasion.facts["consent"])
    scopes = occasion.facts.get("scopes", ())
    return about_access(
        occasion,
        consent,
        subject=subject,
        intro=[Words(what, end=exactly(consent.expires_at, "short"))],
        permissions=[permission(scope["id"], scope["title"], scope["riskLevel"]) for scope in scopes],
        bounds=_receivers(consent) if occasion.facts.get("delegation") else (),
    )


def _receivers(consent: Consent) -> list[tuple[str, str]]:
    """Return the fact to which agents the agent of the consent may hand work."""
    owner = consent.agent.organization
    words = {
        DEVELOPER: _("other agents of %(developer)s"),
        VERIFIED: _("other agents of %(developer)s, and agents of developers that AgentGate verified"),
    }
    if owner is None or consent.delegation not in words:
        return []
    return [(_("It may hand work to"), Words(words[consent.delegation], developer=Foreign(owner.name)))]


def about_access(
    occasion: Occasion,
    consent: Consent,
    *,
    subject: str,
    permissions: Sequence[Item],
    intro: Sequence[str] = (),
    act: str = "",
    bounds: Sequence[tuple[str, str]] = (),
) -> Content:
    """Return the email about what the agent of the consent newly may, and what to do if the user did not allow it."""
    ordered = sorted(permissions, key=lambda one: one.level, reverse=True)
    grave = [one for one in ordered if one.level >= HIGH]
    listed = [*grave[:MAX_GRAVE], *ordered[len(grave) :][:MAX_OTHERS]]
    return Content(
        subject=subject,
        agent=asking_agent(consent.agent),
        intro=intro,
        act=act,
        items=listed,
        more=_more(len(permissions) - len(listed), is_grave=len(grave) > MAX_GRAVE),
        facts=[*bounds, *origin(occasion)],
        call=[_("On its page you see everything that it may do, and can pause it or revoke its access.")],
        button=Link.to(_("Look at this agent"), "web:connection", consent.id),
        after=[_("If you did not allow this, revoke its access there and reset your password now.")],
        links=[reset_link()],
        ends=True,
    )


def _more(number: int, *, is_grave: bool) -> str:
    """Return how many permissions the email does not list. They are of standard or low risk unless `is_grave`."""
    if not number:
        return ""
    if is_grave:
        words = ngettext("and %(number)s more permission", "and %(number)s more permissions", number)
    else:
        words = ngettext(
            "and %(number)s more of standard or low risk", "and %(number)s more, all of standard or low risk", number
        )
    return words % {"number": number}
