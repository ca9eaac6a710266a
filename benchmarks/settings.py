"""The product's settings, except that callers may be busier and access tokens outlive the benchmark."""

from datetime import timedelta

from tests.live.unthrottled import *  # noqa: F403 - all other settings stay

ACCESS_TOKEN_LIFETIME = timedelta(days=1)
