"""The demo's users and the credentials of its programs, stored in one private file next to the database."""

import json
import secrets
from dataclasses import asdict, dataclass

from demo.environment import FOLDER, write_private

FILE = FOLDER / "people.json"
USER, DEVELOPER, ADMINISTRATOR = "ada@example.com", "dev@example.com", "admin@example.com"


@dataclass(frozen=True)
class People:
    """Passwords by email address, and the credentials shown once when the agent and the service were registered."""

    passwords: dict[str, str]
    client_id: str = ""
    client_secret: str = ""
    service_id: str = ""
    service_secret: str = ""

    def __repr__(self) -> str:
        return "People(...)"


def new_passwords() -> dict[str, str]:
    return {email: secrets.token_urlsafe(9) for email in (USER, DEVELOPER, ADMINISTRATOR)}


def store(people: People) -> None:
    write_private(FILE, json.dumps(asdict(people), indent=2))


def load() -> People | None:
    """Return what an earlier start stored, or None on the first start."""
    return People(**json.loads(FILE.read_text())) if FILE.exists() else None
