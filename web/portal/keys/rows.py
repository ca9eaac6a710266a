"""Rows of the tables of named secrets: the client secrets of an agent, and a developer's API keys."""

from dataclasses import dataclass
from datetime import timedelta

from core import clock
from core.rotation import NamedSecret

# A secret that ends sooner than this is marked.
SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret, and the pages that rotate and revoke it."""

    secret: NamedSecret
    rotate_url: str
    revoke_url: str

    @property
    def ends_soon(self) -> bool:
        end = self.secret.expires_at
        return end is not None and end - clock.now() <= SOON
