"""How much data there is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The numbers of rows of one organization, Acme. `organizations` is how many others there are.

    All users are connected to Acme's first agent, and Ada to all agents.

    With this many entries, about 4,000 have no postings yet (`audit.sequencing.postings`), nearly the most possible.
    """

    entries: int = 1_003_400
    agents: int = 800
    policies: int = 60
    users: int = 50_000
    approvals: int = 2_000
    servers: int = 30
    scopes: int = 60
    organizations: int = 300
