"""Response models for scopes."""

from typing import Annotated

from api.v1.schemas.base import OneOf, Out
from resources.models import RISK_LEVELS

RiskLevel = Annotated[str, OneOf(*RISK_LEVELS)]


class ScopeOut(Out):
    """One permission. `description` says what it allows, `cannot` what it does not allow."""

    id: str
    category: str
    risk_level: RiskLevel
    title: str
    description: str
    cannot: str


class ScopesOut(Out):
    """Scopes, in the order of the catalogue."""

    items: list[ScopeOut]
