"""The terms of a connection: how its user bounds the scopes that they granted. Verify enforces them.

Stored in `Consent.terms` as `{"modes": {scope: "ask"}, "limits": {scope: [rule]}, "guards": {"data_flow": "ask" |
"deny"}, "targets": {scope: [...]}, "labels": {scope: [label]}, "editions": {scope: number}, "history": {scope: {...}},
"critical": [scope]}`, without what is empty. Scopes that have no mode are allowed without asking. `critical` are those
that were critical when the user granted them, and `labels` what organizations' own scopes had then, whatever their
developer says later. `editions` says which actions they covered then (`resources.actions`): later additions are not
granted. `history` has the limits that the user has removed and that still count (`consent.counts`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from django.utils.translation import gettext_noop

from consent.targets import Targets, is_within, require_short
from core.canonical import canonical_json
from core.errors import FieldError, Invalid
from core.text import echo
from core.validation import MAX_ERRORS, dotted
from core.wording import Filled
from policies.rules import RULES, InvalidRules
from policies.rules.parsing import parse_rule
from resources.catalogue import Scope, catalogue

ALLOW, ASK, DENY = "allow", "ask", "deny"
DATA_FLOW = "data_flow"
MODES = (ALLOW, ASK)
# In the order in which they become tighter.
GUARD_MODES = (ALLOW, ASK, DENY)
PARTS = ("modes", "limits", "guards", "targets", "labels", "editions", "history")
MAX_LIMITS = 5
# Verify reads the terms with each request.
MAX_BYTES = 16_384
NOT_LIMITS = {
    "action_allowlist": gettext_noop("A limit bounds one scope. To allow less, remove scopes."),
    "action_blocklist": gettext_noop("A limit bounds one scope. To allow less, remove scopes."),
    "cedar": gettext_noop("Policies in Cedar belong to organizations. Use the other rule types."),
    "delegation": gettext_noop("Send delegation, which says for the whole connection which agents may take part."),
    "data_flow": gettext_noop('This guard covers the whole connection. Send it as guards: {"data_flow": "ask"}.'),
}

type Limits = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one connection, as stored: `modes` has only scopes that ask, `guards` only those in force."""

    modes: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=dict)
    guards: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    editions: Mapping[str, int] = field(default_factory=dict)
    history: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    critical: tuple[str, ...] = ()

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Terms":
        parts = {name: stored.get(name, {}) for name in PARTS}
        return cls(**parts, critical=tuple(stored.get("critical", ())))

    def stored(self) -> dict[str, Any]:
        """Return the terms as JSON without empty members, which is `{}` if the user bounds nothing."""
        parts = {name: getattr(self, name) for name in PARTS}
        stored: dict[str, Any] = {name: dict(part) for name, part in parts.items() if part}
        return stored | {"critical": list(self.critical)} if self.critical else stored

    def of(self, scopes: Collection[str]) -> "Terms":
        """Return the terms of these scopes, with the guards, which concern all, and the history also of others."""
        return Terms(
            modes=_among(scopes, self.modes),
            limits=_among(scopes, self.limits),
            guards=self.guards,
            targets=_among(scopes, self.targets),
            labels=_among(scopes, self.labels),
            editions=_among(scopes, self.editions),
            history=self.history,
            critical=tuple(scope for scope in self.critical if scope in scopes),
        )

    def outline(self) -> dict[str, Any]:
        """Return the terms for the log of organizations: limits only by their type, because they can name people."""
        types = {scope: [rule["type"] for rule in rules] for scope, rules in self.limits.items()}
        parts = {"modes": dict(self.modes), "limits": types, "guards": dict(self.guards)}
        return {name: part for name, part in parts.items() if part}


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTerms:
    """What the user says about the terms. What it does not mention stays as it is.

    `modes` and `guards` can also be "allow", and an empty list of `limits` removes them.
    """

    modes: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    guards: Mapping[str, str] = field(default_factory=dict)


NOTHING_SAID = GivenTerms()


def limit_types() -> list[str]:
    """Return the rule types that can be limits."""
    return sorted(name for name in RULES if name not in NOT_LIMITS)


def always_asking(scopes: Iterable[Scope]) -> set[str]:
    """Return the ids of the scopes that the user must approve each time. `scopes` have the words that the user saw."""
    known = catalogue()
    return {scope.id for scope in scopes if scope.always_asks or (scope.id in known and known[scope.id].always_asks)}


def settle_terms(
    *,
    earlier: Terms,
    given: GivenTerms,
    granted: Sequence[str],
    critical: Collection[str] = (),
    targets: Targets | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    editions: Mapping[str, int] | None = None,
) -> Terms:
    """Return the terms after a decision about the `granted` scopes. The `critical` ones always ask.

    What was critical earlier stays so until the user allows it without asking, which they cannot while it is critical.
    `targets` are those of the scopes for which the user has picked some. `labels` and `editions` are those that the
    user has seen, or None for the earlier ones. Raises `Invalid`, naming each field, for unknown scopes and modes, for
    limits that cannot be limits, and for too many targets.
    """
    _require_valid(given, granted, critical)
    modes = {**earlier.modes, **given.modes, **dict.fromkeys(critical, ASK)}
    terms = Terms(
        modes={scope: ASK for scope in granted if modes.get(scope) == ASK},
        limits={scope: list(rules) for scope, rules in {**earlier.limits, **given.limits}.items() if rules},
        guards={guard: mode for guard, mode in {**earlier.guards, **given.guards}.items() if mode != ALLOW},
        targets={**earlier.targets, **(targets or {})},
        labels=earlier.labels if labels is None else labels,
        editions=earlier.editions if editions is None else editions,
        history=earlier.history,
        critical=tuple(
            scope for scope in granted if scope in critical or (scope in earlier.critical and modes.get(scope) == ASK)
        ),
    ).of(granted)
    require_short(terms.targets)
    # Editions are not the user's, and there are few: one number per scope.
    if len(canonical_json(replace(terms, editions={}).stored())) > MAX_BYTES:
        text = gettext_noop("All terms of a connection must fit in %(most)d bytes. Use fewer limits.")
        raise Invalid.field("limits", Filled(text, most=MAX_BYTES))
    return terms


def has_led_to(given: GivenTerms, terms: Terms) -> bool:
    """Return whether the terms have all that was said."""
    return (
        all(terms.modes.get(scope, ALLOW) == mode for scope, mode in given.modes.items())
        and all(terms.guards.get(guard, ALLOW) == mode for guard, mode in given.guards.items())
        and all(list(terms.limits.get(scope, ())) == list(rules) for scope, rules in given.limits.items())
    )


def is_widened(earlier: Terms, later: Terms, scope: str) -> bool:
    """Return whether `later` bounds the scope less than `earlier`: in its mode, targets, limits or guards."""
    if earlier.modes.get(scope) == ASK and later.modes.get(scope) != ASK:
        return True
    if scope in earlier.targets and not is_within(later.targets, earlier.targets, scope):
        return True
    if any(guard_rank(later.guards.get(guard)) < guard_rank(mode) for guard, mode in earlier.guards.items()):
        return True
    return any(rule not in later.limits.get(scope, ()) for rule in earlier.limits.get(scope, ()))


def guard_rank(mode: str | None) -> int:
    """Return the place of a guard's mode, from loose to tight. No guard, which is None, counts as `allow`."""
    return GUARD_MODES.index(mode or ALLOW)


def require_limits(limits: Mapping[str, Any], granted: Collection[str]) -> None:
    """Raise `Invalid`, naming each field, if these cannot be limits of the granted scopes."""
    _require_none(_limit_problems(limits, granted))


def _among(scopes: Collection[str], part: Mapping[str, Any]) -> dict[str, Any]:
    return {scope: value for scope, value in part.items() if scope in scopes}


def _require_valid(given: GivenTerms, granted: Collection[str], critical: Collection[str]) -> None:
    problems = chain(
        _mode_problems(given, granted, critical), _limit_problems(given.limits, granted), _guard_problems(given)
    )
    _require_none(problems)


def _require_none(problems: Iterator[FieldError]) -> None:
    errors = tuple(islice(problems, MAX_ERRORS))
    if errors:
        raise Invalid(gettext_noop("The terms are not valid."), errors=errors)


def _mode_problems(given: GivenTerms, granted: Collection[str], critical: Collection[str]) -> Iterator[FieldError]:
    for scope, mode in given.modes.items():
        if scope not in granted:
            yield FieldError(dotted("modes", scope), gettext_noop("This scope is not granted."))
        elif mode not in MODES:
            yield FieldError(dotted("modes", scope), _one_of(MODES))
        elif mode == ALLOW and scope in critical:
            yield FieldError(dotted("modes", scope), gettext_noop("Critical scopes always ask."))


def _guard_problems(given: GivenTerms) -> Iterator[FieldError]:
    for guard, mode in given.guards.items():
        if guard != DATA_FLOW:
            yield FieldError(
                dotted("guards", guard),
                Filled(gettext_noop("Unknown guard. The only guard is %(guard)s."), guard=DATA_FLOW),
            )
        elif mode not in GUARD_MODES:
            yield FieldError(dotted("guards", guard), _one_of(GUARD_MODES))


def _one_of(choices: Iterable[str]) -> Filled:
    return Filled(gettext_noop("Must be one of %(choices)s."), choices=", ".join(choices))


def _limit_problems(limits: Mapping[str, Any], granted: Collection[str]) -> Iterator[FieldError]:
    for scope, rules in limits.items():
        path = dotted("limits", scope)
        if scope not in granted:
            yield FieldError(path, gettext_noop("This scope is not granted."))
        elif not isinstance(rules, list):
            yield FieldError(path, gettext_noop("Must be a list of rules."))
        elif len(rules) > MAX_LIMITS:
            yield FieldError(path, Filled(gettext_noop("At most %(most)d limits for each scope."), most=MAX_LIMITS))
        else:
            for index, rule in enumerate(rules):
                yield from _problems_of_limit(rule, f"{path}.{index}")


def _problems_of_limit(raw: Any, path: str) -> Iterator[FieldError]:
    name = raw.get("type") if isinstance(raw, dict) else None
    if isinstance(name, str) and name not in limit_types():
        hint = Filled(NOT_LIMITS[name]) if name in NOT_LIMITS else _one_of(limit_types())
        text = gettext_noop('"%(type)s" cannot be a limit. %(hint)s')
        yield FieldError(f"{path}.type", Filled(text, type=echo(name), hint=hint))
        return
    try:
        rule = parse_rule(raw, path)
    except InvalidRules as error:
        yield from error.errors
        return
    if rule.actions:
        yield FieldError(f"{path}.config.actions", gettext_noop("A limit concerns only its scope. Leave out actions."))
