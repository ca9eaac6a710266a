"""The agents and organizations in the samples. None is stored."""

from typing import Any

from agents.models import Agent
from core import clock
from developers.models import Organization
from resources.catalogue import catalogue

LONG_NAME = "Averyveryverylongnamewithoutanyspace" * 2


def verified() -> Organization:
    return Organization(id="org_verified", name="Acme Robotics", is_verified=True, domain="acme.com")


def unverified() -> Organization:
    return Organization(id="org_unverified", name=LONG_NAME)


def suspended() -> Organization:
    return Organization(id="org_suspended", name="Shady Labs", suspended_at=clock.now())


def make_agent(name: str, organization: Organization | None, **fields: Any) -> Agent:
    """Return an agent that may have every scope of the catalogue."""
    given = {"id": f"agt_{name[:4].lower()}", "allowed_scopes": list(catalogue()), **fields}
    return Agent(name=name, organization=organization, **given)
