import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest

from core.admin_lists import CreatedFilter
from core.administration import ReadOnlyAdmin, administrator, is_superuser
from developers.models import Organization
from policies.actions import require_known_actions
from policies.models import Policy
from policies.quotas import require_room
from policies.rules import InvalidRules, parse_rules
from policies.services import create_policy, delete_policy, update_policy


class RulesField(forms.JSONField):
    """JSON that the database can store. Other input is a form error and is shown again unchanged."""

    def to_python(self, value: Any) -> Any:
        try:
            parsed = super().to_python(value)
            json.dumps(parsed, ensure_ascii=False).encode()
        except (ValueError, RecursionError):  # numbers with thousands of digits, lone surrogates, deep nesting
            raise forms.ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from None
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        return data if data is None else InvalidJSONInput(data)


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A policy, checked as in the API."""

    mode = forms.ChoiceField(choices=Policy.Mode, initial=Policy.Mode.ENFORCE, required=False)

    class Meta:
        model = Policy
        field_classes = {"rules": RulesField}
        fields = ["organization", "agent", "name", "description", "enabled", "mode", "rules"]
        help_texts = {"rules": 'A list of {"type": ..., "config": {...}}.'}

    def clean_mode(self) -> str:
        return self.cleaned_data["mode"] or Policy.Mode.ENFORCE

    def clean(self) -> None:
        """Refuse what the service refuses: invalid rules and agents of other organizations."""
        organization = self.cleaned_data.get("organization") or getattr(self.instance, "organization", None)
        agent = self.cleaned_data.get("agent")
        if organization is not None and "rules" in self.cleaned_data and "rules" in self.changed_data:
            self._check_rules(organization.id)
        if organization is not None and self.cleaned_data["enabled"] and {"rules", "enabled"} & {*self.changed_data}:
            self._check_room(organization.id)
        if agent is not None and organization is not None and agent.organization_id != organization.id:
            self.add_error("agent", "This agent belongs to another organization.")

    def _check_rules(self, organization_id: str) -> None:
        try:
            rules = parse_rules(self.cleaned_data["rules"])
            require_known_actions(rules, organization_id=organization_id)
        except InvalidRules as error:
            self._show(error)

    def _check_room(self, organization_id: str) -> None:
        rules = self.cleaned_data.get("rules", self.instance.rules)
        try:
            require_room(organization_id=organization_id, rules=rules, field="rules", policy_id=self.instance.id)
        except InvalidRules as error:
            self._show(error)

    def _show(self, error: InvalidRules) -> None:
        self.add_error("rules", [f"{invalid.field}: {invalid.translated}" for invalid in error.errors])


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    """Policies. Edits go through the services, so they apply to the next verify and are logged."""

    form = PolicyForm
    owners = ["organization__developers__user"]
    list_display = ["name", "id", "organization", "agent", "enabled", "mode", "rule_types", "updated_at"]
    list_select_related = ["organization", "agent"]
    list_filter = ["enabled", "mode", CreatedFilter]
    searches = {"pol": "id", "org": "organization", "agt": "agent"}
    raw_id_fields = ["organization", "agent"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("policies.add_policy")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_act_on(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_protected = obj is not None and self.problem_with_acting_on(request, obj)
        return request.user.has_perm("policies.delete_policy") and not is_protected

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["id", "organization", "version", "created_at", "updated_at"] if obj else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Hide organizations of superusers from other administrators."""
        if db_field.name == "organization" and not is_superuser(request):
            kwargs["queryset"] = Organization.objects.exclude(developers__user__is_superuser=True)
            kwargs["error_messages"] = {"invalid_choice": "Only a superuser may act on a superuser's organization."}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        actor, data = administrator(request), form.cleaned_data
        if not change:
            obj.pk = create_policy(actor=actor, **data).pk
        elif form.changed_data:
            changes = {name: data[name] for name in form.changed_data}
            update_policy(actor=actor, policy=obj, changes=changes)

    def delete_model(self, request: HttpRequest, obj: Policy) -> None:
        delete_policy(actor=administrator(request), policy=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Policy]) -> None:
        for policy in list(queryset):
            delete_policy(actor=administrator(request), policy=policy)

    @admin.display(description="rules")
    def rule_types(self, policy: Policy) -> str:
        return ", ".join(rule.get("type", "?") for rule in policy.rules)
