"""The users, agents, policies and the resource server of the demo, created through the domain services."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.models import User
from accounts.services import add_user, new_user, register_user
from agents.models import Agent
from agents.services import RegisteredAgent, register_agent
from core import clock
from core.actor import Actor
from demo.people import ADMINISTRATOR, DEVELOPER, USER
from developers.acting import as_developer
from developers.invitations import invite
from developers.models import Developer
from developers.roles import Role
from developers.services import register_developer, verify_organization
from policies.services import create_policy
from resources.services import RegisteredResourceServer, register_resource_server

BROWSER = Actor("anonymous", ip="127.0.0.1", user_agent="AgentGate demo")
CALLBACK = "http://127.0.0.1/callback"
OFFICE = "203.0.113.0/24"


@dataclass(frozen=True)
class SampleData:
    """The users, agents and the resource server of the demo."""

    ada: User
    bob: User
    administrator: User
    developer: Developer
    smart_mail: RegisteredAgent
    ledger: Agent
    clerk: Agent
    planner: Agent
    night_owl: Agent
    scout: Agent
    service: RegisteredResourceServer


def make_sample_data(passwords: dict[str, str]) -> SampleData:
    """Register users, agents and the service, and verify the organization as the administrator."""
    developer = register_developer(
        actor=BROWSER, name="Acme Robotics", email=DEVELOPER, password=passwords[DEVELOPER]
    ).developer
    administrator = _make_administrator(passwords[ADMINISTRATOR])
    verify_organization(
        actor=BROWSER.acting_as("administrator", administrator.id),
        organization=developer.organization,
        is_verified=True,
        reason="Checked the company register.",
    )
    data = SampleData(
        ada=_make_verified(USER, passwords[USER], "Ada"),
        bob=register_user(actor=BROWSER, email="bob@example.com", password=passwords[USER] + "-bob", name="Bob"),
        administrator=administrator,
        developer=developer,
        smart_mail=_agent(developer, "SmartMail", "Sorts your mail", "email:read", "email:send", "calendar:freebusy"),
        ledger=_agent(developer, "Ledger", "Keeps your books", "payments:read", "payments:charge").agent,
        clerk=_agent(developer, "Clerk", "Sorts your receipts", "payments:read").agent,
        planner=_agent(developer, "Planner", "Finds time for meetings", "calendar:read", "calendar:write").agent,
        night_owl=_agent(developer, "Night Owl", "Copies your files at night", "files:read").agent,
        scout=_agent(developer, "Scout", "Reads the web for you", "browser:read", "social:post").agent,
        service=register_resource_server(
            actor=in_browser(developer),
            organization=developer.organization,
            name="Acme Mail",
            identifier="https://mail.example",
            scopes=["email:read", "email:send", "calendar:freebusy"],
        ),
    )
    _make_policies(data, clock.now())
    invite(actor=in_browser(developer), organization=developer.organization, email=USER, role=Role.AUDITOR)
    return data


def in_browser(developer: Developer) -> Actor:
    return as_developer(BROWSER, developer)


def _make_verified(email: str, password: str, name: str) -> User:
    """Register a user who has verified the address, as invitations need."""
    return add_user(actor=BROWSER, user=new_user(email=email, password=password, name=name), is_verified=True)


def _make_administrator(password: str) -> User:
    user = register_user(actor=BROWSER, email=ADMINISTRATOR, password=password, name="Administrator")
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["is_staff", "is_superuser"])
    return user


def _agent(developer: Developer, name: str, description: str, *scopes: str) -> RegisteredAgent:
    return register_agent(
        actor=in_browser(developer),
        organization=developer.organization,
        name=name,
        description=description,
        redirect_uris=[CALLBACK],
        allowed_scopes=scopes,
    )


def _make_policies(data: SampleData, now: datetime) -> None:
    """Create one policy per rule type."""
    limit = {"maxRequests": 10, "windowSeconds": 60, "scope": "per_user"}
    _policy(data, data.smart_mail.agent, "Ten per minute", "rate_limit", limit)
    _policy(data, data.ledger, "Only from the office", "ip_allowlist", {"cidrs": [OFFICE]})
    _policy(data, data.planner, "Calendar only", "action_allowlist", {"actions": ["calendar:*"]})
    _policy(data, data.night_owl, "Only at night", "time_window", _hours_from(now + timedelta(hours=6)))
    _policy(data, None, "No spending", "action_blocklist", {"actions": ["payments:charge", "shopping:buy"]})


def _policy(data: SampleData, agent: Agent | None, name: str, rule: str, config: dict[str, Any]) -> None:
    rules: Sequence[dict[str, Any]] = [{"type": rule, "config": config}]
    create_policy(
        actor=in_browser(data.developer),
        organization=data.developer.organization,
        agent=agent,
        name=name,
        rules=rules,
    )


def _hours_from(start: datetime) -> dict[str, Any]:
    """Return a daily window of four hours that does not include the current time."""
    return {
        "allowedDays": [1, 2, 3, 4, 5, 6, 7],
        "startTimeUtc": f"{start:%H}:00",
        "endTimeUtc": f"{start + timedelta(hours=4):%H}:00",
        "timezone": "UTC",
    }
