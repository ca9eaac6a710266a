"""How much data the grown database has."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The numbers of rows. One organization, Acme, has a fifth of the agents, a tenth of the policies and all servers.

    One user, Ada, has the first `connections` consents and a tenth of the approvals. The newest twentieth of the
    entries are denials of the first consent.
    """

    entries: int = 2_000_000
    tokens: int = 300_000
    consents: int = 150_000
    agents: int = 5_000
    policies: int = 5_000
    users: int = 50_000
    organizations: int = 1_000
    servers: int = 200
    scopes: int = 500
    connections: int = 1_000
    approvals: int = 6_000
    reservations: int = 3_000

    @property
    def acme_agents(self) -> int:
        return self.agents // 5

    @property
    def denials(self) -> int:
        return self.entries // 20
