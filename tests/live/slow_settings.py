"""Settings with a slow page."""

from tests.live.settings import *  # noqa: F403 - all other settings stay

ROOT_URLCONF = "tests.live.slow_urls"
