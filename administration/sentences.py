"""Log entries as administrators read them: one sentence per entry, which names the actor."""

from collections.abc import Mapping
from typing import Any

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from core.admin_words import ACTORS
from core.text import plain_text
from decisions.wording import sentence_of


def sentence_html(content: Mapping[str, Any], names: Mapping[str, str], titles: Mapping[str, str]) -> SafeString:
    """Return what happened, with the names of others set apart.

    `names` are those of the actor, agent, person, organization and policy, and empty where there is none. `titles` are
    those of the scopes.
    """
    words = {name: _marked(names[name]) or word for name, word in _unnamed(content["actor"]["kind"]).items()}
    scopes = get_text_list([titles.get(one, plain_text(one)) for one in content["scopes"]], _("and"))
    words["account"] = format_html(_("the account of {}"), words["person"])
    words["scopes"] = format_html("<bdi>{}</bdi>", scopes or _("no specific scopes"))
    return mark_safe(conditional_escape(str(sentence_of(content))) % words)  # noqa: S308 -- all parts are escaped


def _marked(name: str) -> SafeString | str:
    return format_html('<bdi class="named">{}</bdi>', name) if name else ""


def _unnamed(actor_kind: str) -> dict[str, str]:
    """Return the words that take the place of a name that the entry lacks."""
    return {
        "actor": str(ACTORS["system"]) if actor_kind == "system" else _("An unknown caller"),
        "agent": _("an agent"),
        "person": _("a person"),
        "organization": _("an organization"),
        "policy": _("a policy"),
    }
