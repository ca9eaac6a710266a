"""Template tags for the documentation."""

from collections.abc import Mapping

from django import template

from web.public.docs.pages import Links, menu

register = template.Library()


@register.simple_tag
def docs_menu() -> Mapping[str, Links]:
    """Return the links to all pages, by their headings in the index."""
    return menu()
