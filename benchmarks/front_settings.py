"""Settings for `benchmarks/front.py`: AgentGate's own, with one view."""

from agentgate.settings import *  # noqa: F403 - all other settings stay

ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.front_servers"
