"""The tasks that beat sends, and their intervals in seconds.

Beat keeps no file: after a start each interval starts over. Hourly tasks therefore run by the clock.
"""

from typing import Any

from celery.schedules import crontab

from agentgate.heartbeat import INTERVAL_SECONDS as HEARTBEAT_SECONDS

HOURLY = crontab(minute=7)
SCHEDULE: dict[str, Any] = {
    # It expires, because a late heartbeat does not show that beat is running now.
    "record-heartbeat": {
        "task": "agentgate.tasks.record_heartbeat",
        "schedule": float(HEARTBEAT_SECONDS),
        "options": {"expires": HEARTBEAT_SECONDS},
    },
    "sweep-consents": {"task": "consent.tasks.sweep_consents", "schedule": 60.0},
    "sweep-undecided-consents": {"task": "consent.tasks.sweep_undecided_consents", "schedule": 300.0},
    "sweep-codes": {"task": "consent.tasks.sweep_codes", "schedule": 300.0},
    "sweep-tokens": {"task": "tokens.tasks.sweep_tokens", "schedule": 300.0},
    "sweep-unused-registrations": {"task": "agents.tasks.sweep_unused_registrations", "schedule": HOURLY},
    "sweep-client-assertions": {"task": "agents.tasks.sweep_client_assertions", "schedule": 600.0},
    "sweep-session-tokens": {"task": "accounts.tasks.sweep_session_tokens", "schedule": 600.0},
    "sweep-registrations": {"task": "accounts.tasks.sweep_registrations", "schedule": 600.0},
    "sweep-browser-sessions": {"task": "accounts.tasks.sweep_browser_sessions", "schedule": HOURLY},
    "sweep-known-addresses": {"task": "accounts.tasks.sweep_known_addresses", "schedule": HOURLY},
    "sweep-counters": {"task": "limits.tasks.sweep_counters", "schedule": 600.0},
    "sweep-idempotency-records": {"task": "core.tasks.sweep_idempotency_records", "schedule": 600.0},
}
