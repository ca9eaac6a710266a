"""Ids in URLs and forms."""

import re

from django.urls import register_converter
from django.urls.converters import StringConverter, get_converters

ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
ORGANIZATION_ID = re.compile(r"org_[A-Za-z0-9]{1,60}")


class IdConverter(StringConverter):
    """Match only strings that can be ids. PostgreSQL raises an error if a query contains a NUL."""

    regex = ID.pattern


class OrganizationConverter(StringConverter):
    """Match only strings that can be ids of organizations."""

    regex = ORGANIZATION_ID.pattern


class ElsewhereConverter(StringConverter):
    """Match the paths of the portal that name no organization."""

    regex = rf"(?!{ORGANIZATION_ID.pattern}(?:/|$)).+"


class ScopeConverter(StringConverter):
    """Match only strings that can be ids of scopes."""

    regex = "[a-z][a-z0-9_.:-]{1,99}"


def register_converters() -> None:
    """Let the URLs of this process use the converters."""
    if "id" not in get_converters():
        register_converter(IdConverter, "id")
        register_converter(OrganizationConverter, "organization")
        register_converter(ElsewhereConverter, "elsewhere")
        register_converter(ScopeConverter, "scope")
