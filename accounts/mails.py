"""Emails to users, in plain text and in HTML, in the reader's language and time zone.

Each email is a function under `@mail(name)` that returns its `Content`. Nothing else is written twice: both forms are
rendered from it. It is called when the email is sent, so it gets facts, such as ids and times, and never sentences.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.mail_text import Foreign, Words
from accounts.models import User
from core import clock
from core.actor import Actor
from core.formats import exactly
from core.languages import ENGLISH, language_of
from core.local import in_zone, local_zone

GAP = re.compile(r"\n{3,}")
# The heights of the bars of the logo, in pixels.
MARK = (7, 10, 13, 16)
# Only what is risky is colored.
RISK_COLORS = {"low": "#575a63", "standard": "#575a63", "high": "#7f4700", "critical": "#a3123a"}
BARS = (5, 8, 11, 14)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What an email is about: the address that it goes to, when it happened, and the facts."""

    to: str
    at: datetime
    facts: Mapping[str, Any]

    @property
    def when(self) -> str:
        return exactly(self.at, "short")

    @property
    def ip(self) -> str:
        return self.facts.get("ip") or ""


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str

    @classmethod
    def to(cls, label: str, name: str, *args: str) -> "Link":
        """Return a link to a page of ours. It starts with `API_URL`, because a request's sender controls its host."""
        return cls(label, settings.API_URL + reverse(name, args=args))


@dataclass(frozen=True, slots=True)
class AskingAgent:
    """An agent, and what we know about its developer. `developer` is empty if it registered itself.

    `color` is that of its mark on pages.
    """

    name: Foreign
    color: str
    developer: Foreign
    domain: Foreign
    is_verified: bool

    @property
    def by(self) -> str:
        if not self.developer:
            return _("An AI agent by an unknown developer")
        if not self.domain:
            return Words(_("An AI agent by %(developer)s"), developer=self.developer)
        text = _("An AI agent by %(developer)s, verified domain %(domain)s")
        return Words(text, developer=self.developer, domain=self.domain)

    @property
    def checked(self) -> str:
        return _("Verified developer") if self.is_verified else _("Developer not verified")


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk level, from 1 to 4, with its name and word."""

    number: int
    level: str
    word: str

    @property
    def color(self) -> str:
        return RISK_COLORS[self.level]

    @property
    def bars(self) -> list[int]:
        """Return the heights of the gauge's bars, in pixels."""
        return [height if bar < self.number else 2 for bar, height in enumerate(BARS)]


@dataclass(frozen=True, slots=True)
class Item:
    """One of a list, such as a permission with its risk."""

    title: str
    risk: Risk | None = None

    @property
    def level(self) -> int:
        return self.risk.number if self.risk else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The parts of an email, in the order in which it shows them. Empty ones are left out.

    Texts are plain strings in our own words, or `Words` if they have values of others in them. An email has one button
    at most. One with a `code` has none: the code is entered where it was requested.
    """

    # It and the heading name no agent: a name can be any sentence.
    subject: str
    agent: AskingAgent | None = None
    # The line above the heading, if the agent's name alone does not say enough.
    above: str = ""
    # What is asked for, or allowed: the heading instead of the subject.
    act: str = ""
    intro: Sequence[str] = ()
    code: str = ""
    risk: Risk | None = None
    items: Sequence[Item] = ()
    # How many more items there are, in words.
    more: str = ""
    facts: Sequence[tuple[str, str]] = ()
    call: Sequence[str] = ()
    button: Link | None = None
    after: Sequence[str] = ()
    links: Sequence[Link] = ()
    # Where these emails can be switched off.
    ends: bool = False

    @property
    def preheader(self) -> str:
        """What the list of a mail program shows after the subject."""
        said = self.act or next(iter([*self.intro, *self.call]), "")
        return f"{self.agent.name}: {said}" if self.agent else said


type Compose = Callable[[Occasion], Content]
# By name. The apps' `ready` methods import the modules that fill it.
mails: dict[str, Compose] = {}
english_mails: set[str] = set()


def mail(name: str, *, in_english: bool = False) -> Callable[[Compose], Compose]:
    """Register what composes the email `name`. With `in_english`, it is in English, as the developers' pages are."""

    def register(compose: Compose) -> Compose:
        mails[name] = compose
        if in_english:
            english_mails.add(name)
        return compose

    return register


def send_mail(
    name: str, *, actor: Actor, to: str = "", user: User | None = None, facts: Mapping[str, Any] | None = None
) -> None:
    """Send an email about something that happens now, after the transaction commits.

    It goes to the user, or to the address `to`, which may be one of theirs. Without a user, it has the language and
    the time zone of the page. A failure is logged and has no other effect.
    """
    zone = user.time_zone if user else local_zone().key
    occasion = Occasion(to or (user.email if user else ""), clock.now(), {"ip": actor.ip, **(facts or {})})
    message = compose_mail(name, occasion, language=chosen_language(user), zone=zone)
    transaction.on_commit(partial(_deliver, message), robust=True)


def compose_mail(name: str, occasion: Occasion, *, language: str, zone: str) -> EmailMultiAlternatives:
    """Return an email in this language, with all times in this zone, or in UTC if it is empty."""
    with language_of(ENGLISH if name in english_mails else language), in_zone(zone):
        content = mails[name](occasion)
        subject = f"[AgentGate] {' '.join(content.subject.split())}"
        values = {
            "mail": content,
            "mark": MARK,
            "subject": subject,
            "site_url": settings.API_URL,
            "settings_url": settings.API_URL + reverse("web:notifications"),
        }
        text = render_to_string("account/email/mail.txt", values)
        html = render_to_string("account/email/mail.html", values)
    message = EmailMultiAlternatives(
        subject, GAP.sub("\n\n", text.strip()) + "\n", settings.DEFAULT_FROM_EMAIL, [occasion.to]
    )
    message.attach_alternative(html, "text/html")
    return message


def chosen_language(user: User | None) -> str:
    """Return the language that the user chose, else that of the page, or "" where there is none."""
    return (user.language if user else "") or get_language() or ""


def _deliver(message: EmailMultiAlternatives) -> None:
    message.send()
