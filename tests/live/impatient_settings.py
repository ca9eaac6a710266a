"""Settings with which the supervisor waits only three seconds for a process to stop."""

from agentgate import supervisor
from tests.live.settings import *  # noqa: F403 - all other settings stay

supervisor.KILL_SECONDS = 3.0
