"""The form of the consent screen: what it offers and preselects, and what the user chose."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.template.defaultfilters import date as format_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from consent.connections import Choice as Decision
from consent.models import Consent
from consent.selectors import agreed_scopes, carried_scopes, connection_state, live_consent, reworded_scopes
from consent.targets import Pick
from consent.terms import ALLOW, ASK, DATA_FLOW, GivenTerms, Terms, always_asking
from core.errors import Invalid
from resources.catalogue import LABELS, Scope, read_snapshot
from web.display import warnings
from web.limit_words import limits_in_words
from web.targets import kept_targets, read_picks

MODE = "mode-"
KEPT = "kept_consent_form"
SENSITIVE_RISKS = ("high", "critical")
LIFETIMES = {
    timedelta(hours=1): gettext_lazy("In 1 hour"),
    timedelta(days=1): gettext_lazy("In 1 day, on %(date)s"),
    timedelta(days=30): gettext_lazy("In 30 days, on %(date)s"),
    timedelta(days=90): gettext_lazy("In 90 days, on %(date)s"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One scope with its checkbox. `is_reworded`: the user allowed it with a different description.

    Links to the list lead to the checkbox that `is_first`. `is_known`: the agent may use the scope now.

    `mode` is the preselected one, or None if the page offers no choice. `limits` are those in force, in words. `only`
    are the targets to which the scope is bounded and stays bounded.
    """

    scope: Scope
    ticked: bool
    is_reworded: bool = False
    is_known: bool = False
    is_first: bool = False
    mode: str | None = None
    limits: Sequence[str] = ()
    only: Sequence[str] = ()

    @property
    def always_asks(self) -> bool:
        return bool(always_asking([self.scope]))

    @property
    def warnings(self) -> list[str]:
        """Return in words why to be careful. Empty for scopes that are not sensitive."""
        return warnings(self.scope) if is_sensitive(self.scope) else []


@dataclass(frozen=True, slots=True)
class Screen:
    """A request beside the live connection. `new` and `known` are the scopes that it shows, `words` their texts.

    `withdrawn` are scopes of the connection that the developer has taken from the agent since.
    """

    asked: Consent
    live: Consent | None
    reworded: list[str]
    known: list[str]
    new: list[str]
    words: dict[str, Scope]
    withdrawn: list[Scope]
    terms: Terms

    @classmethod
    def of(cls, user: User, asked: Consent) -> "Screen":
        live = live_consent(user, asked)
        reworded = reworded_scopes(asked, live)
        known = [one for one in live.live_scopes() if one not in reworded] if live else []
        words = {scope.id: scope for scope in [*read_snapshot(asked.shown_scopes), *carried_scopes(asked, live)]}
        new = [one for one in asked.askable_scopes() if one not in known]
        terms = Terms.read(live.terms) if live else Terms()
        withdrawn = [scope for scope in agreed_scopes(live) if scope.id not in live.live_scopes()] if live else []
        return cls(asked, live, reworded, [one for one in known if one in words], new, words, withdrawn, terms)

    def choices(self, ids: Iterable[str], ticked: Collection[str], kept: Decision | None) -> list[Choice]:
        """Return the choices of these scopes, as the user left them if they were kept."""
        return [self._choice(scope_id, ticked, kept) for scope_id in ids]

    def mode_of(self, scope_id: str) -> str | None:
        """Return the mode to preselect, or None if the page offers none. A live scope has its own."""
        scope = self.words.get(scope_id)
        if scope is None or always_asking([scope]):
            return None
        if scope_id not in self.known:
            return ASK if is_sensitive(scope) else None
        mode = self.terms.modes.get(scope_id, ALLOW)
        return mode if mode == ASK or is_sensitive(scope) else None

    @property
    def first(self) -> str | None:
        """Return the scope that the screen shows first: required ones, then optional ones, then the known ones."""
        shown = sorted(self.new, key=lambda one: one in self.asked.optional_scopes) + self.known
        return next(iter(shown), None)

    def guard(self, kept: Decision | None) -> dict[str, Any] | None:
        """Return the guard against data flows, or None if the scopes cannot cause one."""
        current = self.terms.guards.get(DATA_FLOW)
        covered = {label for one in (*self.new, *self.known) for label in self.words[one].labels}
        if current is None and not covered >= LABELS:
            return None
        mode = current or ASK
        ticked = kept is None or kept.terms.guards.get(DATA_FLOW, mode) == mode
        return {"mode": mode, "ticked": ticked}

    def _choice(self, scope_id: str, ticked: Collection[str], kept: Decision | None) -> Choice:
        mode = self.mode_of(scope_id)
        return Choice(
            self.words[scope_id],
            ticked=scope_id in (ticked if kept is None else kept.scopes or ()),
            is_reworded=scope_id in self.reworded,
            is_known=scope_id in self.known,
            is_first=scope_id == self.first,
            mode=mode and (kept.terms.modes.get(scope_id, mode) if kept else mode),
            limits=limits_in_words(self.terms.limits.get(scope_id, ())),
            only=kept_targets(self.asked, self.live).get(scope_id, ()),
        )


def is_sensitive(scope: Scope) -> bool:
    """Return whether asking is preselected: its risk is high, or its effect cannot be undone."""
    return scope.risk_level in SENSITIVE_RISKS or not scope.is_reversible


def lifetimes(now: datetime, kept: Decision | None) -> list[dict[str, Any]]:
    """Return the ends that the page offers for the connection."""
    chosen = kept.lifetime if kept else settings.CONSENT_LIFETIME
    return [
        {
            "seconds": int(lifetime.total_seconds()),
            "words": str(words) % {"date": format_date(now + lifetime, "j F Y")},
            "is_chosen": lifetime == chosen,
        }
        for lifetime, words in LIFETIMES.items()
    ]


def read_decision(form: QueryDict, screen: Screen, scopes: Sequence[str]) -> Decision:
    """Return what the user chose. A mode that the form does not have is the preselected one. Raises `Invalid`."""
    modes = {scope: form.get(f"{MODE}{scope}") or _unsaid_mode(screen, scope) for scope in scopes}
    guards = {DATA_FLOW: form.get("guard") or ALLOW} if "guard_offered" in form else {}
    return Decision(
        scopes=scopes,
        is_whole=True,
        targets=read_picks(form, screen.asked),
        shown_state=form.get("connection"),
        terms=GivenTerms(modes={scope: mode for scope, mode in modes.items() if mode}, guards=guards),
        lifetime=_lifetime(form.get("lifetime")),
    )


def keep_decision(request: HttpRequest, asked: Consent, decision: Decision) -> None:
    """Keep what the user chose while they enter their password. Only a decision that is otherwise valid is kept."""
    request.session[KEPT] = {
        "consent": asked.id,
        "shown": decision.shown_state,
        "scopes": list(decision.scopes or ()),
        "targets": [asdict(pick) for pick in decision.targets or ()],
        "modes": dict(decision.terms.modes),
        "guards": dict(decision.terms.guards),
        "seconds": decision.lifetime.total_seconds(),
    }


def kept_decision(request: HttpRequest, screen: Screen) -> Decision | None:
    """Return what the user chose before they entered their password, or None.

    If the connection has changed since, the user chooses again.
    """
    kept = request.session.get(KEPT)
    if kept is None or kept["consent"] != screen.asked.id:
        return None
    if kept.get("shown") not in (None, connection_state(screen.live)):
        return None
    return Decision(
        scopes=kept["scopes"],
        targets=[Pick(**pick) for pick in kept["targets"]],
        terms=GivenTerms(modes=kept["modes"], guards=kept["guards"]),
        lifetime=timedelta(seconds=kept["seconds"]),
    )


def forget_decision(request: HttpRequest) -> None:
    request.session.pop(KEPT, None)


def _unsaid_mode(screen: Screen, scope: str) -> str | None:
    return None if scope in screen.known else screen.mode_of(scope)


def _lifetime(sent: str | None) -> timedelta:
    if sent is None:
        return settings.CONSENT_LIFETIME
    for lifetime in LIFETIMES:
        if sent == str(int(lifetime.total_seconds())):
            return lifetime
    raise Invalid.field("lifetime", _("Choose when the access ends."))
