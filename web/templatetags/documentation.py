"""Template tags for the documentation."""

from typing import Any

from django import template

from web.public.docs.pages import REFERENCE, library

register = template.Library()


@register.inclusion_tag("web/public/docs/menu.html", takes_context=True)
def docs_menu(context: template.Context) -> dict[str, Any]:
    """Render the list of all pages. Within the API reference, it also has the operations with the same tag."""
    return {
        "groups": library().groups,
        "path": context["request"].path,
        "reference": REFERENCE,
        "operation": context.get("operation"),
        "siblings": context.get("siblings", ()),
    }


@register.filter
def tag_title(tag: str) -> str:
    """Return a tag of the API as a heading: "Resource servers"."""
    return tag.replace("-", " ").capitalize()
