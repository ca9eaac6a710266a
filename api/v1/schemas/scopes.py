"""Response models for scopes."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from api.v1.schemas.base import OneOf, Out
from resources.catalogue import LABELS
from resources.risks import RISK_LEVELS

RiskLevel = Annotated[str, OneOf(*RISK_LEVELS)]
Label = Annotated[str, OneOf(*sorted(LABELS))]
# The labels of a scope are a set.
ShownLabels = Annotated[list[Label], BeforeValidator(sorted)]


class ScopeOut(Out):
    """One permission. `description` says what it allows, `cannot` what it does not allow.

    `labels`: it reads `private` data, brings in `untrusted` text that others wrote, or can send data out (`outbound`).
    `reversible`: its effect can be undone. `asks`: the user approves every use, as for every critical scope. `covers`:
    the actions that it allows besides its own id. `excludes`: the actions that `cannot` names.
    """

    id: str
    category: str
    risk_level: RiskLevel
    title: str
    description: str
    cannot: str
    labels: ShownLabels
    reversible: bool = Field(validation_alias="is_reversible")
    asks: bool
    covers: list[str]
    excludes: list[str]


class ScopesOut(Out):
    """Scopes, in the order of the catalogue."""

    items: list[ScopeOut]
