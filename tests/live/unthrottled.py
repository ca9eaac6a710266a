"""Settings of the test servers, whose clients are busier than an account or an organization may be."""

from agentgate.settings import *  # noqa: F403 - all other settings stay

THROTTLE_EXPORT = THROTTLE_POLICIES = THROTTLE_AGENTS = "1000000/minute"
