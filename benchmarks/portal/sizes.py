"""How much data the organization has."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The numbers of rows of one organization, Acme. `organizations` is how many others there are.

    All users are connected to the first agent, so its stop hits the most connections. The other agents share
    `connections`.

    With so many entries, about 4,000 have no postings yet (`audit.sequencing.postings`), nearly as many as can be.
    """

    entries: int = 1_003_400
    agents: int = 400
    policies: int = 200
    versions: int = 120
    users: int = 100_000
    connections: int = 2_000
    approvals: int = 2_000
    servers: int = 30
    scopes: int = 60
    trials: int = 40
    organizations: int = 300
