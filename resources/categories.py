"""The names of the catalogue's categories, as their brands spell them, those that most people use first."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

CATEGORY_NAMES: dict[str, Promise | str] = {
    "email": _("Email"),
    "calendar": _("Calendar"),
    "files": _("Files"),
    "payments": _("Payments"),
    "messaging": _("Messaging"),
    "shopping": _("Shopping"),
    "profile": _("Profile"),
    "social": _("Social media"),
    "browser": _("Browser"),
    "cloud": _("Cloud"),
    "database": _("Databases"),
    "agents": _("Agents"),
    # Abbreviations and brands are the same in every language.
    "crm": "CRM",
    "github": "GitHub",
    "linear": "Linear",
    "notion": "Notion",
    "slack": "Slack",
}


def category_name(category: str) -> str:
    """Return the name of a category, or the prefix of an organization's own scopes as it is."""
    return str(CATEGORY_NAMES.get(category, category))
