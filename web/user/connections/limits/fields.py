"""The limits of a scope as sentences with fields in them, on the consent screen and on the page of a connection.

Each kind of limit has one sentence, filled with the limit of this kind that is in force. Limits that do not fit into a
sentence are shown in words beside it. The names of the fields end with the scope's id.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from core.errors import FieldError, Invalid
from policies.rules import Rule, find_rule
from policies.rules.rate_limit import RateLimit
from policies.rules.spend_limit import SpendLimit
from policies.rules.time_window import TimeWindow
from resources.catalogue import Scope
from web.user.connections.limits.amounts import is_spelled
from web.user.connections.limits.inputs import BUILDERS, EVERY_DAY, WEEKDAYS, WEEKEND, Fields, days_of
from web.user.connections.limits.reading import READERS, field_name, merge
from web.user.connections.limits.words import recipients_of, rule_in_words

type Limits = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One kind of limit. The template has the words around the `inputs`. `name` is that of the main field."""

    kind: str
    name: str
    inputs: dict[str, SafeString]
    error: str

    @property
    def error_id(self) -> str:
        return f"error-{self.name}"


@dataclass(frozen=True, slots=True)
class LimitFields:
    """The editor of one scope. `others` are limits in force that have no fields, in words."""

    scope: Scope
    sentences: list[Sentence]
    others: list[str]
    in_force: list[str]
    has_error: bool

    @property
    def has_recipients(self) -> bool:
        return any(sentence.kind == "only" for sentence in self.sentences)

    @property
    def has_amount(self) -> bool:
        return any(sentence.kind == "amount" for sentence in self.sentences)

    @property
    def is_open(self) -> bool:
        return bool(self.in_force) or self.has_error


def limit_fields(
    scope: Scope,
    current: Sequence[Mapping[str, Any]],
    *,
    posted: QueryDict | None = None,
    errors: Iterable[FieldError] = (),
) -> LimitFields:
    """Return the editor for the limits of a scope, filled with those in force, or with what the user has sent."""
    found = [find_rule(limit) for limit in current]
    rules = [rule for rule in found if rule]
    wrong = {error.field: error.message for error in errors}
    shown = {kind: next(filter(is_shown, rules), None) for kind, is_shown in _kinds_of(scope, rules).items()}
    sentences = [_sentence(scope, kind, rule, posted, wrong) for kind, rule in shown.items()]
    in_fields = [rule for rule in shown.values() if rule]
    return LimitFields(
        scope,
        sentences,
        others=[rule_in_words(rule) for rule in found if rule not in in_fields],
        in_force=[rule_in_words(rule) for rule in found],
        has_error=any(sentence.error for sentence in sentences),
    )


def read_limits(
    posted: QueryDict, scopes: Iterable[Scope], current: Limits, *, may_widen: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Return all limits of each scope whose fields change them.

    An empty field keeps what is in force. With `may_widen`, as on the consent screen, the fields are the whole of what
    they show: an empty one removes it, and a higher maximum replaces it. Otherwise a limit can only become tighter.
    Raises `Invalid`, whose errors have the names of the fields.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    errors: list[FieldError] = []
    for scope in scopes:
        before = [dict(limit) for limit in current.get(scope.id, ())]
        try:
            after = _read_scope(posted, scope, before, may_widen=may_widen)
        except Invalid as error:
            errors += error.errors
            continue
        if after != before:
            found[scope.id] = after
    if errors:
        raise Invalid(_("A limit cannot be used as it is."), errors=tuple(errors))
    return found


def _read_scope(
    posted: QueryDict, scope: Scope, before: list[dict[str, Any]], *, may_widen: bool
) -> list[dict[str, Any]]:
    after, errors = before, list[FieldError]()
    rules = [rule for rule in map(find_rule, before) if rule]
    for kind, is_shown in _kinds_of(scope, rules).items():
        if field_name(kind, scope.id) not in posted:
            continue
        shown = next((limit for limit in before if is_shown(find_rule(limit))), None)
        try:
            said = READERS[kind](posted, scope.id)
            after = merge(after, shown, said, name=field_name(kind, scope.id), may_widen=may_widen)
        except Invalid as error:
            errors += error.errors
    if errors:
        raise Invalid(errors[0].message, errors=tuple(errors))
    return after


def _kinds_of(scope: Scope, rules: Sequence[Rule]) -> dict[str, Callable[[Rule | None], bool]]:
    """Return the kinds of limits that make sense for the scope, and those in force, each with what its sentence shows.

    A limit with `actions` has no fields.
    """
    kinds: dict[str, Callable[[Rule | None], bool]] = {"number": _is_rate}
    if scope.moves_money or any(map(_is_spend, rules)):
        kinds["amount"] = _is_spend
    if scope.has_recipient or any(map(recipients_of, rules)):
        kinds["only"] = lambda rule: bool(recipients_of(rule))
    kinds["from"] = _is_window
    return kinds


def _is_rate(rule: Rule | None) -> bool:
    return isinstance(rule, RateLimit) and not rule.actions


def _is_spend(rule: Rule | None) -> bool:
    return isinstance(rule, SpendLimit) and not rule.actions and is_spelled(rule.max_amount, rule.currency)


def _is_window(rule: Rule | None) -> bool:
    """Return whether the fields can say it. The sentence names the zone, which need not be the user's own."""
    return isinstance(rule, TimeWindow) and not rule.actions and days_of(rule) in (WEEKDAYS, WEEKEND, EVERY_DAY)


def _sentence(
    scope: Scope, kind: str, rule: Rule | None, posted: QueryDict | None, wrong: Mapping[str, str]
) -> Sentence:
    name = field_name(kind, scope.id)
    fields = Fields(scope.id, posted, f"error-{name}" if name in wrong else "")
    return Sentence(kind, name, BUILDERS[kind](fields, rule), wrong.get(name, ""))
