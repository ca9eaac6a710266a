"""The addresses of an agent's homepage, privacy policy and logo, as its developer gives them."""

from collections.abc import Mapping

from django.utils.translation import gettext_noop

from core.errors import FieldError, Invalid
from core.links import problem_with_link

FIELDS = {"homepage_url": "homepageUrl", "privacy_url": "privacyUrl", "logo_url": "logoUrl"}


def check_links(links: Mapping[str, str]) -> None:
    """Raise `Invalid` for addresses that cannot be used. The fields are those of the agent; empty ones are fine."""
    problems = ((name, problem_with_link(url)) for name, url in links.items() if url)
    errors = tuple(FieldError(FIELDS[name], problem) for name, problem in problems if problem)
    if errors:
        raise Invalid(gettext_noop("An address is not valid."), errors=errors)
