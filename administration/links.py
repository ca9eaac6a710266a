"""URLs of the admin site, and small pieces of its pages."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote, unquote
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.text import plain_text, readable_json


def url_id(pk: Any) -> str:
    """Return a primary key as it stands in URLs of the admin site: quoted only if Django would misread it."""
    text = str(pk)
    return text if unquote(text) == text else quote(text)


def row_url(model: type[Model], pk: Any) -> str:
    """Return the URL of the page of a row."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[url_id(pk)])


def list_url(model: type[Model], **filters: str) -> str:
    """Return the URL of the model's list, filtered by `filters`."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{url}?{urlencode(filters)}" if filters else url


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


def named(text: object) -> SafeString:
    """Return a text that a user or a developer chose, set apart from our words."""
    return format_html('<bdi class="named">{}</bdi>', plain_text(text))


def link_to_rows(model: type[Model], text: str, **filters: str) -> SafeString:
    """Return a link to the model's list, filtered by `filters`."""
    return format_html('<a href="{}">{}</a>', list_url(model, **filters), text)


def show_lines(lines: Sequence[Any]) -> SafeString | str:
    """Return the lines as a list. Empty without any."""
    if not lines:
        return ""
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((line,) for line in lines)))


def pretty(value: Any) -> SafeString:
    """Return the value as `readable_json`."""
    return format_html('<pre class="code">{}</pre>', readable_json(value))
