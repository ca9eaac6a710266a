"""The policy editor: the policy's fields and any number of rules, added and removed without JavaScript."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agents.models import Agent
from core.errors import DomainError, FieldError
from policies.actions import require_known_actions
from policies.models import Policy
from policies.rules import RULES, InvalidRules, Rule, find_rule
from policies.rules.parsing import MAX_RULES, parse_rule
from web.forms.agent_field import AgentField, AgentFieldForm
from web.forms.fields import PlainField, as_typed, at_entry, show_at, show_in
from web.portal.policies.rule_forms import MISSING, RuleForm, form_class

RULE_KEY = re.compile(r"rules-(\d{1,4})-type")
MAX_NAME = 200
FIELD_NAMES = {"agentId": "agent", "enabled": "status"}

ENFORCED, SHADOW, OFF = "enforced", "shadow", "off"
STATUS_NAMES = {ENFORCED: _("Enabled"), SHADOW: _("Only records"), OFF: _("Disabled")}
STATUSES = [
    (ENFORCED, _("Enabled: requests that break a rule are denied.")),
    (SHADOW, _("Only records: nothing is denied, and you see which requests would have been.")),
    (OFF, _("Disabled: the rules are not checked.")),
]


def effect_of(policy: Policy) -> str:
    """Return a sentence about what the policy does from now on."""
    if not policy.enabled:
        return gettext("It is switched off: no check uses it.")
    if policy.mode == Policy.Mode.SHADOW:
        return gettext("From now on, it records what it would deny, and denies nothing.")
    if policy.agent_id:
        return gettext("It applies to every check of this agent from now on.")
    return gettext("It applies to every check from now on.")


class PolicyForm(AgentFieldForm):
    name = PlainField(label=_("Name"), max_length=MAX_NAME)
    description = PlainField(
        label=_("Description"), max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    agent = AgentField(
        label=_("Applies to"),
        placeholder=_("All agents"),
        help_text=_("The name or the ID of an agent. Leave it empty for all agents."),
    )
    status = forms.ChoiceField(label=_("Status"), choices=STATUSES, initial=ENFORCED, widget=forms.RadioSelect)


def status_of(*, enabled: bool, mode: str) -> str:
    """Return the status of a policy with these fields: one of `STATUS_NAMES`."""
    if not enabled:
        return OFF
    return SHADOW if mode == Policy.Mode.SHADOW else ENFORCED


def changes_to(status: str, policy: Policy | None = None) -> dict[str, Any]:
    """Return the fields of a policy with this status. A disabled policy keeps its mode."""
    if status == OFF:
        return {"enabled": False, "mode": policy.mode if policy else Policy.Mode.ENFORCE}
    return {"enabled": True, "mode": Policy.Mode.SHADOW if status == SHADOW else Policy.Mode.ENFORCE}


class PolicyEditor:
    """The forms of the edit page. `fields` is the policy's own form; `rules` has one form per rule.

    `describe` puts submitted rules into words. Stored ones already have them. `left_out` is the number of rules in a
    stored policy whose type no longer exists.
    """

    left_out = 0

    def __init__(self, *, fields: PolicyForm, rules: list[RuleForm]) -> None:
        self.fields, self.rules = fields, rules

    @classmethod
    def blank(cls, agents: QuerySet[Agent]) -> "PolicyEditor":
        return cls(fields=PolicyForm(agents=agents), rules=[])

    @classmethod
    def from_stored(
        cls, agents: QuerySet[Agent], initial: Mapping[str, Any], raw_rules: Sequence[Mapping[str, Any]]
    ) -> "PolicyEditor":
        """Return an editor with a stored policy, version or draft. If its agent is gone, the agent field says so."""
        rules = [
            _stored(form_class(rule["type"])(initial=rule["config"], prefix=f"rules-{index}"), rule)
            for index, rule in enumerate(raw_rules)
            if rule.get("type") in RULES
        ]
        checked = PolicyForm(dict(initial), agents=agents) if isinstance(initial["agent"], str) else None
        editor = cls(fields=checked or PolicyForm(initial=dict(initial), agents=agents), rules=rules)
        editor.left_out = len(raw_rules) - len(rules)
        return editor

    @classmethod
    def from_submitted(cls, agents: QuerySet[Agent], data: QueryDict) -> "PolicyEditor":
        """Return an editor with the submitted data. Check it with `is_valid` or `can_decide`."""
        rules = [form_class(name)(data, prefix=f"rules-{index}") for index, name in _submitted_rules(data)]
        return cls(fields=PolicyForm(data, agents=agents), rules=rules)

    @classmethod
    def from_draft(cls, agents: QuerySet[Agent], data: QueryDict) -> "PolicyEditor":
        """Return an editor with the data submitted so far, without errors for missing values."""
        sent, removed, added = _submitted_rules(data), data.get("remove"), str(data.get("add", ""))
        rules = [
            _draft(form_class(name)(prefix=f"rules-{index}"), data) for index, name in sent if str(index) != removed
        ]
        if added in RULES and len(rules) < MAX_RULES:
            after = max((index for index, _name in sent), default=-1) + 1
            rules.append(form_class(added)(prefix=f"rules-{after}"))
            rules[-1].is_new = True
        return cls(fields=_draft(PolicyForm(agents=agents), data), rules=rules)

    @property
    def most(self) -> int | None:
        """The most rules that a policy can have, if it has that many, else None."""
        return MAX_RULES if len(self.rules) >= MAX_RULES else None

    @property
    def forms(self) -> list[PolicyForm | RuleForm]:
        return [self.fields, *self.rules]

    def is_valid(self, organization_id: str) -> bool:
        """Check every form and each rule, even after one has failed, so that the page shows all errors at once."""
        checked = [form.is_valid() for form in self.forms]
        parsed, errors = self._parse()
        for one in (*errors, *_unknown_actions(parsed, organization_id)):
            self._show_one(one)
        return all(checked) and all(form.is_valid() for form in self.rules)

    def can_decide(self, organization_id: str) -> bool:
        """Check everything except the name, which a policy needs only to be saved."""
        name = self.fields.fields["name"]
        name.required = False
        is_valid = self.is_valid(organization_id)
        name.required = True
        return is_valid

    def raw_rules(self) -> list[dict[str, Any]]:
        return [form.raw() for form in self.rules]

    def show(self, error: DomainError) -> None:
        """Add each of the error's messages to its field in the policy or in a rule."""
        if not error.errors:
            show_in(self.fields, error)
        for one in error.errors:
            self._show_one(one)

    def describe(self, data: QueryDict, organization_id: str) -> None:
        """Put each submitted rule into words, with gaps for what is missing, or say what is wrong with it."""
        parsed: dict[int, Rule] = {}
        for place, form in enumerate(self.rules):
            if form.is_new:
                form.missing, form.wording = form.find_missing(), form.outline
                continue
            bound = form if form.is_bound else form_class(form.rule_type)(data, prefix=form.prefix)
            is_valid, mistake = bound.is_valid(), _mistake_in(bound)
            if not mistake and (missing := bound.find_missing()):
                form.missing, form.wording = missing, bound.outline
            elif is_valid:
                form.wording, form.problem, rule = _describe(bound.raw())
                parsed |= {place: rule} if rule else {}
            else:
                form.problem = mistake
        # Keep the first error of each rule.
        for one in reversed(_unknown_actions(parsed, organization_id)):
            path = one.field.split(".")
            self.rules[int(path[1])].problem = at_entry(path[3:], one.translated)

    def _parse(self) -> tuple[dict[int, Rule], list[FieldError]]:
        """Return the rules by the position of their forms, and the errors of those that cannot be read.

        If a form has errors, its rule has only the actions, so that those are checked too.
        """
        parsed: dict[int, Rule] = {}
        errors: list[FieldError] = []
        for place, form in enumerate(self.rules):
            if raw := form.raw() if form.is_valid() else form.raw_actions():
                try:
                    parsed[place] = parse_rule(raw, f"rules.{place}")
                except InvalidRules as error:
                    errors += error.errors
        return parsed, errors

    def _show_one(self, error: FieldError) -> None:
        head, *rest = error.field.split(".")
        if head == "rules" and rest and rest[0].isdecimal() and int(rest[0]) < len(self.rules):
            show_at(self.rules[int(rest[0])], rest[2:] or [""], error.translated)
        else:
            show_at(self.fields, [head], error.translated, FIELD_NAMES)


def _unknown_actions(rules: Mapping[int, Rule], organization_id: str) -> list[FieldError]:
    """Return an error for each action that does not exist, by the position of its rule."""
    try:
        require_known_actions(list(rules.values()), organization_id=organization_id)
    except InvalidRules as error:
        paths, places = [one.field.split(".") for one in error.errors], list(rules)
        moved = [".".join(["rules", str(places[int(number)]), *rest]) for _rules, number, *rest in paths]
        return [replace(one, field=field) for one, field in zip(error.errors, moved, strict=True)]
    return []


def _mistake_in(form: RuleForm) -> str:
    """Return the error of the first field that is not merely missing, or ""."""
    for name, errors in form.errors.as_data().items():
        if wrong := next((one for one in errors if one.code not in MISSING), None):
            return f"{form[name].label}: {wrong.messages[0]}"
    return ""


def _describe(raw: Mapping[str, Any]) -> tuple[str, str, Rule | None]:
    """Return a rule in words, its error, and the rule itself if it can be read."""
    try:
        rule = parse_rule(raw)
    except InvalidRules as error:
        first = error.errors[0]
        return "", at_entry(first.field.split(".")[2:], first.translated), None
    return rule.sentence(), "", rule


def _submitted_rules(data: QueryDict) -> list[tuple[int, str]]:
    """Return the number and type of each submitted rule, in order. Unknown types are skipped.

    If there are too many rules, keep one more than a policy can have, so that the error is shown. The editor itself
    never adds that one.
    """
    found = ((RULE_KEY.fullmatch(key), str(data.get(key))) for key in data)
    return sorted((int(match[1]), name) for match, name in found if match and name in RULES)[: MAX_RULES + 1]


def _draft[F: forms.Form](form: F, data: QueryDict) -> F:
    form.initial = as_typed(form, data)
    return form


def _stored(form: RuleForm, raw: Mapping[str, Any]) -> RuleForm:
    rule = find_rule(raw)
    form.wording = rule.sentence() if rule else ""
    return form
