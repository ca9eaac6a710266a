"""The product's settings, except that access tokens outlive the benchmark."""

from datetime import timedelta

from agentgate.settings import *  # noqa: F403 - all other settings stay

ACCESS_TOKEN_LIFETIME = timedelta(days=1)
