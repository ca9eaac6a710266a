"""The tasks that beat sends, and their intervals in seconds.

A task that the worker has not started after an interval expires: beat has sent it again by then, and a late heartbeat
does not show that beat is running now. A sweep stops after `core.sweeps.SECONDS` and finds the rest in its next run.
`events.tasks.deliver` never ends. While it runs in a process, the next one returns at once.
"""

from typing import Any

from celery.schedules import crontab

# A fraction of `HEARTBEAT_LIFETIME`.
HEARTBEAT_SECONDS = 20
# Someone waits for what is mailed.
SOON = 10
# Each exchange leaves a code, tokens, a family and an idempotency record, and each request for consent a row.
OFTEN = 60
SELDOM = 300
HOUR = 3600


def _entry(task: str, seconds: int) -> dict[str, Any]:
    return {"task": task, "schedule": float(seconds), "options": {"expires": seconds}}


def _daily(task: str, hour: int) -> dict[str, Any]:
    """Send the task at this hour (UTC). An interval would start again with each restart of beat."""
    return {"task": task, "schedule": crontab(hour=hour, minute=0), "options": {"expires": HOUR}}


SCHEDULE: dict[str, Any] = {
    "record-heartbeat": _entry("server.tasks.record_heartbeat", HEARTBEAT_SECONDS),
    "sweep-consents": _entry("consent.tasks.sweep_consents", OFTEN),
    "sweep-undecided-consents": _entry("consent.tasks.sweep_undecided_consents", OFTEN),
    "mail-approvals": _entry("approvals.tasks.mail_approvals", SOON),
    "mail-notices": _entry("accounts.tasks.mail_notices", SOON),
    "deliver-events": _entry("events.tasks.deliver", SOON),
    "sweep-approvals": _entry("approvals.tasks.sweep_approvals", OFTEN),
    "sweep-codes": _entry("consent.tasks.sweep_codes", OFTEN),
    "sweep-tokens": _entry("tokens.tasks.sweep_tokens", OFTEN),
    "sweep-client-assertions": _entry("agents.tasks.sweep_client_assertions", OFTEN),
    "sweep-counters": _entry("limits.tasks.sweep_counters", OFTEN),
    "sweep-reservations": _entry("limits.tasks.sweep_reservations", OFTEN),
    "sweep-idempotency-records": _entry("core.tasks.sweep_idempotency_records", OFTEN),
    "sweep-unused-registrations": _entry("consent.tasks.sweep_unused_registrations", SELDOM),
    "sweep-session-tokens": _entry("accounts.tasks.sweep_session_tokens", SELDOM),
    "sweep-registrations": _entry("accounts.tasks.sweep_registrations", SELDOM),
    "sweep-browser-sessions": _entry("accounts.tasks.sweep_browser_sessions", SELDOM),
    "sweep-known-addresses": _entry("accounts.tasks.sweep_known_addresses", SELDOM),
    "count-log": _entry("insights.tasks.count_log", OFTEN),
    "sweep-rollups": _entry("insights.tasks.sweep_rollups", HOUR),
    "sweep-invitations": _entry("developers.tasks.sweep_invitations", SELDOM),
    "check-domains": _entry("developers.tasks.check_domains", SELDOM),
    "delete-organizations": _entry("developers.tasks.delete_organizations", SELDOM),
    "delete-agents": _entry("agents.tasks.delete_agents", SELDOM),
    "sweep-deliveries": _entry("events.tasks.sweep_deliveries", SELDOM),
    "destroy-old-keys": _daily("audit.tasks.destroy_old_keys", hour=2),
    "archive-month": _daily("audit.tasks.archive_month", hour=3),
}
