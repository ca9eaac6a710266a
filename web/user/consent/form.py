"""The form of the consent screen: what it offers and preselects. `decision` reads what the user chose."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import QueryDict

from accounts.models import User
from agents.models import Agent
from consent.connections import Choice as Decision
from consent.delegation import DELEGATE
from consent.models import Consent
from consent.selectors import agreed_scopes, carried_scopes, live_consent, reworded_scopes
from consent.terms import ALLOW, ASK, DATA_FLOW, Terms, always_asking
from core.errors import FieldError
from policies.models import Policy
from policies.refusals import refused_scopes
from policies.selectors import policies_in_force
from resources.catalogue import LABELS, Scope, read_snapshot
from web.display.labels import risk_level, warnings
from web.user.connections.limits.form import LimitFields, limit_fields
from web.user.connections.limits.parsing import field_name
from web.user.consent.receivers import FIELD, Receivers, receivers_to_choose
from web.user.consent.targets import kept_targets
from web.wording.cannot import cannot_beside

MODE = "mode-"
type Limits = Sequence[Mapping[str, Any]]
# More scopes than these are collapsed, service by service.
MAX_OPEN = 8
# Of the developer. The page reads no more of them.
MAX_POLICIES = 50
SENSITIVE_RISKS = ("high", "critical")
# The risks of scopes that can be ticked in advance.
TICKED_RISKS = ("low", "standard")


@dataclass(frozen=True, slots=True)
class Choice:
    """One scope with its checkbox. `is_reworded`: the user allowed it with a different description.

    `is_known`: the agent may use the scope now. Links to the list lead to the checkbox that `is_first`. `number` is its
    place on the page, by which `flow.css` repeats what is ticked beside the buttons, or 0 in a long list.

    `mode` is the preselected mode, or None if the page offers no choice. `limits` has the fields for limits, or is
    None: with `can_open`, a button shows them. `is_opened` says whether the user has pressed it. `only` has the targets
    to which the scope stays limited. `cannot` is what the scope does not allow, given the others on the screen.
    `is_refused`: by a rule of the developer, verify denies every request for it at present. `receivers` are the agents
    to choose from for the scope that hands work on. Handing on is bounded by these, and asks for nothing itself.
    """

    scope: Scope
    ticked: bool
    is_reworded: bool = False
    is_known: bool = False
    is_first: bool = False
    number: int = 0
    mode: str | None = None
    limits: LimitFields | None = None
    can_open: bool = False
    is_opened: bool = False
    only: Sequence[str] = ()
    cannot: str = ""
    is_refused: bool = False
    receivers: Receivers | None = None

    @property
    def always_asks(self) -> bool:
        return self.receivers is None and bool(always_asking([self.scope]))

    @property
    def asks(self) -> bool:
        """Whether each use is asked for, as the page shows it first."""
        return self.always_asks or self.mode == ASK

    @property
    def warnings(self) -> list[str]:
        """Return warnings in words. Empty for scopes that are not sensitive."""
        return warnings(self.scope) if is_sensitive(self.scope) else []


@dataclass(frozen=True)
class Screen:
    """A request together with the live connection. `new` and `known` are the scopes shown, and `words` their texts.

    `withdrawn` are scopes of the connection that the developer has since taken from the agent.
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
        held = live.live_scopes() if live else []
        words = {scope.id: scope for scope in [*read_snapshot(asked.shown_scopes), *carried_scopes(asked, live)]}
        known = in_order([one for one in held if one not in reworded and one in words], words)
        new = in_order([one for one in asked.askable_scopes() if one not in known], words)
        terms = Terms.read(live.terms) if live else Terms()
        withdrawn = [scope for scope in agreed_scopes(live) if scope.id not in held] if live else []
        return cls(asked, live, reworded, known, new, words, withdrawn, terms)

    @property
    def is_long(self) -> bool:
        """Whether the list of scopes is long, so that the page collapses it and ticks no new ones in advance."""
        return len(self.new) + len(self.known) > MAX_OPEN

    def choices(self, ids: Iterable[str], ticked: Collection[str], given: "Given") -> list[Choice]:
        """Return the choices for these scopes, as the user left them."""
        return [self._choice(scope_id, ticked, given) for scope_id in ids]

    def mode_of(self, scope_id: str) -> str | None:
        """Return the mode to preselect, or None if the page offers no choice. The connection's stored mode is kept."""
        scope = self.words.get(scope_id)
        if scope is None or always_asking([scope]):
            return None
        # Only scopes that ask have a stored mode. A reworded scope counts as new, but an approval keeps its mode.
        stored = self.terms.modes.get(scope_id)
        if stored is None and is_sensitive(scope):
            return ALLOW if scope_id in self.known else ASK
        return stored

    def guard(self, kept: Decision | None) -> dict[str, Any] | None:
        """Return the data flow guard, or None if the scopes cannot cause a data flow."""
        current = self.terms.guards.get(DATA_FLOW)
        covered = {label for one in (*self.new, *self.known) for label in self.words[one].labels}
        if current is None and not covered >= LABELS:
            return None
        mode = current or ASK
        ticked = kept is None or kept.terms.guards.get(DATA_FLOW, mode) == mode
        return {"mode": mode, "ticked": ticked}

    def receivers(self, given: "Given") -> Receivers | None:
        """Return the agents to choose from to which work may be handed, or None if the page is not about that."""
        kept = given.decision
        is_said = kept is not None and (DELEGATE not in self.shown or DELEGATE in (kept.scopes or ()))
        said = given.form.get(FIELD) if given.form else kept.delegation if kept and is_said else None
        return receivers_to_choose(self.asked, self.live, self.shown, said or "")

    def _choice(self, scope_id: str, ticked: Collection[str], given: "Given") -> Choice:
        kept = given.decision
        limits = self.terms.limits.get(scope_id, ())
        receivers = self.receivers(given) if scope_id == DELEGATE else None
        # Limits count what services ask for, not what is handed on.
        has_limits = receivers is None
        chosen = kept.terms.limits.get(scope_id, limits) if kept else limits
        editor = self._editor(scope_id, chosen, given) if has_limits else None
        return Choice(
            self.words[scope_id],
            ticked=scope_id in (ticked if kept is None else kept.scopes or ()),
            is_reworded=scope_id in self.reworded,
            is_known=scope_id in self.known,
            is_first=scope_id == next(iter(self.shown), None),
            number=self.shown.index(scope_id) + 1 if len(self.shown) <= MAX_OPEN else 0,
            mode=self._mode(scope_id, given),
            limits=editor,
            can_open=has_limits and editor is None and is_sensitive(self.words[scope_id]),
            is_opened=scope_id == given.opened,
            only=self._only.get(scope_id, ()),
            cannot=cannot_beside(self.words[scope_id], self.words.values()),
            is_refused=scope_id in self._refused,
            receivers=receivers,
        )

    @cached_property
    def policies(self) -> Sequence[Policy]:
        """The policies of the agent's developer in force, one more than the page reads if there are more."""
        agent = self.asked.agent
        if agent.organization_id is None:
            return []
        return list(policies_in_force(agent.organization_id, agent.id)[: MAX_POLICIES + 1])

    @cached_property
    def _refused(self) -> Collection[str]:
        return refused_scopes(self.policies[:MAX_POLICIES], self.shown)

    @cached_property
    def shown(self) -> list[str]:
        """Return the scopes in the order of the screen: required, then optional, then known ones."""
        return sorted(self.new, key=lambda one: one in self.asked.optional_scopes) + self.known

    @cached_property
    def _only(self) -> Mapping[str, Sequence[str]]:
        return kept_targets(self.asked, self.live)

    @cached_property
    def _offers_limits(self) -> bool:
        """Whether the page shows the limits of all sensitive scopes. With more scopes, limits would fill the page."""
        return sum(is_sensitive(self.words[one]) for one in (*self.new, *self.known)) <= MAX_OPEN

    def _mode(self, scope_id: str, given: "Given") -> str | None:
        mode = self.mode_of(scope_id)
        sent = given.form.get(f"{MODE}{scope_id}") if given.form else None
        if mode is None or sent in (ASK, ALLOW):
            return mode and sent
        return given.decision.terms.modes.get(scope_id, mode) if given.decision else mode

    def _editor(self, scope_id: str, limits: Limits, given: "Given") -> LimitFields | None:
        """Return the fields for limits, or None where the page has none."""
        scope = self.words[scope_id]
        if not limits and not (is_sensitive(scope) and (self._offers_limits or given.has_opened(scope_id))):
            return None
        return limit_fields(scope, limits, posted=given.form, errors=given.errors)


@dataclass(frozen=True, slots=True)
class Given:
    """What the user chose on a page that is shown again: a decision, or a form with errors. Initially neither.

    `opened` is the scope whose fields for limits the user asks for.
    """

    decision: Decision | None = None
    form: QueryDict | None = None
    errors: Sequence[FieldError] = ()
    opened: str = ""

    def has_opened(self, scope_id: str) -> bool:
        """Return whether the user opened the scope's limit fields or sent them."""
        return scope_id == self.opened or (self.form is not None and field_name("number", scope_id) in self.form)


UNTOUCHED = Given()


def by_risk(scope: Scope) -> tuple[bool, int]:
    """Sort scopes by risk, those of organizations last: they choose its level."""
    return bool(scope.defined_by), -risk_level(scope.risk_level)


def in_order(ids: Iterable[str], words: Mapping[str, Scope]) -> list[str]:
    """Return the scopes in the order of the screen."""
    return sorted(ids, key=lambda one: by_risk(words[one]))


def is_sensitive(scope: Scope) -> bool:
    """Return whether asking is preselected: its risk is high, or its effect cannot be undone."""
    return scope.risk_level in SENSITIVE_RISKS or not scope.is_reversible


def is_verified(agent: Agent) -> bool:
    """Return whether an administrator has verified the agent's organization."""
    return agent.organization is not None and agent.organization.is_verified


def ticked_at_first(screen: Screen) -> list[str]:
    """Return the new scopes to tick, by risk. They are only from the catalogue: organizations choose their own levels.

    No scope of a long list is ticked, because the user might allow it without seeing it.
    """
    if screen.is_long or not is_verified(screen.asked.agent):
        return []
    found = [screen.words[one] for one in screen.new if one not in screen.reworded]
    return [scope.id for scope in found if scope.risk_level in TICKED_RISKS and not scope.defined_by]
