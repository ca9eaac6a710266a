"""The form with which a developer asks verify in a trial."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.text import plain_text
from decisions.whatif.sandbox import Asked
from resources.catalogue import Scope
from web.forms.context_field import ContextField
from web.forms.fields import IdSelect, PlainField

MAX_ACTION = 200
EXAMPLE = '{"recipient": "ada@example.com"}'


class QuestionForm(forms.Form):
    """A request that the agent makes. `context` is the JSON that a service sends."""

    scope = forms.ChoiceField(label=_("Required scope"), widget=IdSelect)
    action = PlainField(
        label=_("Action"),
        max_length=MAX_ACTION,
        required=False,
        help_text=_("What the service calls it. Rules can name it."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    context = ContextField(
        label=_("Context"),
        help_text=_("A JSON object with what the request is about: recipient, target, amount, ip and so on."),
        widget=forms.Textarea(attrs={"rows": 4, "dir": "ltr", "spellcheck": "false", "placeholder": EXAMPLE}),
    )

    def __init__(self, *args: Any, scopes: Sequence[Scope], granted: Collection[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = [(_("Granted"), True), (_("Not granted"), False)]
        listed = [(words, [_choice(one) for one in scopes if (one.id in granted) == has]) for words, has in groups]
        self.fields["scope"].choices = [(words, choices) for words, choices in listed if choices]  # type: ignore[attr-defined]

    @staticmethod
    def initial_of(asked: Asked | None) -> dict[str, Any]:
        """Return the fields of a question that was asked before, so that it can be changed and asked again."""
        if asked is None:
            return {}
        context = json.dumps(asked.context, ensure_ascii=False, indent=2) if asked.context else ""
        return {"scope": asked.scope, "action": asked.action or "", "context": context}


def _choice(scope: Scope) -> tuple[str, str]:
    return scope.id, f"{plain_text(scope.title)} ({scope.id})"
