"""Settings with which beat sends a heartbeat and a sweep of consents every two seconds."""

from agentgate.settings import *  # noqa: F403 - all other settings stay
from agentgate.settings import SCHEDULE

SECONDS = 2.0
QUICK = ("record-heartbeat", "sweep-consents")
CELERY_BEAT_SCHEDULE = SCHEDULE | {name: SCHEDULE[name] | {"schedule": SECONDS} for name in QUICK}
