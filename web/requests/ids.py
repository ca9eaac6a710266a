"""Ids in URLs and forms."""

import re

from django.urls.converters import StringConverter

ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class IdConverter(StringConverter):
    """Match only strings that can be ids. PostgreSQL raises an error if a query contains a NUL."""

    regex = ID.pattern
