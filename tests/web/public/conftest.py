"""Rows that are made once per module."""

from tests.web.shared_rows import *  # noqa: F403
