"""The settings with a beat that asks for heartbeats and for the sweep of consents every two seconds."""

from agentgate.settings import *  # noqa: F403 - the settings, with one changed
from agentgate.settings import SCHEDULE

SECONDS = 2.0
QUICK = ("record-heartbeat", "sweep-consents")
CELERY_BEAT_SCHEDULE = SCHEDULE | {name: SCHEDULE[name] | {"schedule": SECONDS} for name in QUICK}
