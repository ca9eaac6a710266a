"""Train the dictionary that compresses records and personal data: `python -m benchmarks.dictionary FILE`.

A dictionary that has been used must never be replaced, only followed by another one (`audit/entries/packing.py`).
"""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson
from zstandard import train_dictionary

from audit.entries.drafts import Draft, Prepared, prepare
from audit.events import Event, Outcome
from core.actor import Actor
from core.ids import new_id, new_unguessable_id

SAMPLES = 12_000
SIZE = 16 * 1024
SCOPES = ["email:read", "email:send", "calendar:read", "calendar:write", "payments:initiate", "files:read", "code:read"]
AGENTS = [
    "python-httpx/0.28.1",
    "agentgate-oauth/0.1.0 python-httpx/0.28.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
]
REASONS = [
    "token_expired",
    "token_revoked",
    "consent_revoked",
    "agent_suspended",
    "insufficient_scope",
    "wrong_audience",
]


def samples() -> Iterator[bytes]:
    """Yield bodies and personal data of entries such as the log has them, mostly of decisions."""
    for _ in range(SAMPLES):
        draft = _decision() if random.random() < 0.85 else _event()
        at = datetime.now(UTC) - timedelta(seconds=random.random() * 40_000_000)
        prepared = prepare([draft], at)[0]
        yield _body(prepared)
        yield orjson.dumps(prepared.personal, option=orjson.OPT_SORT_KEYS)


def _body(prepared: Prepared) -> bytes:
    roots = {"personal": token_hex(32), "withheld": token_hex(32) if prepared.withheld else None}
    return orjson.dumps({**prepared.content, **roots}, option=orjson.OPT_SORT_KEYS)


def _decision() -> Draft:
    denied = random.random() < 0.2
    context: dict[str, Any] = {"ip": _address()} if random.random() < 0.5 else {}
    if random.random() < 0.2:
        context |= {"verb": "send", "recipient": "someone@example.com", "text": "Hello", "target": "inbox"}
        context |= {"amount": {"currency": "EUR", "value": f"{random.randint(1, 900)}.50"}}
    return Draft(
        event=Event.TOKEN_VERIFY if random.random() < 0.9 else Event.TOKEN_INTROSPECTED,
        outcome=Outcome.DENIED if denied else Outcome.ALLOWED,
        reason=random.choice(REASONS) if denied else None,
        actor=_actor("service", new_id("res")),
        organization_id=new_id("org"),
        service_organization_ids=[new_id("org")] if random.random() < 0.5 else [],
        user_id=new_id("usr"),
        agent_id=new_id("agt"),
        consent_id=new_unguessable_id("cns"),
        scopes=random.sample(SCOPES, random.randint(1, 2)),
        resource=random.choice([None, "https://mail.example.com/", "https://api.example.com/v1/messages"]),
        metadata={"tokenId": token_hex(16)},
        personal={"ip": _address(), "callerIp": _address(), **({"context": context} if context else {})},
    )


def _event() -> Draft:
    event = random.choice(list(Event))
    kind = random.choice(["user", "developer", "agent", "anonymous", "system"])
    metadata: dict[str, Any] = random.choice(
        [{"method": "password"}, {"familyId": new_id("fam")}, {"reason": "user"}, {"changed": ["name"]}]
    )
    return Draft(
        event=event,
        actor=_actor(kind, new_id("usr")),
        organization_id=new_id("org"),
        user_id=new_id("usr"),
        agent_id=new_id("agt"),
        consent_id=new_unguessable_id("cns") if event.startswith("consent") else None,
        scopes=SCOPES[:3] if event.startswith("consent") else (),
        metadata=metadata,
    )


def _actor(kind: str, actor_id: str) -> Actor:
    return Actor(kind, actor_id, _address(), random.choice(AGENTS), new_id("req"))  # type: ignore[arg-type]


def _address() -> str:
    return f"{random.randint(1, 223)}.{random.randint(0, 255)}.{random.randint(0, 255)}.{random.randint(1, 254)}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(train_dictionary(SIZE, list(samples())).as_bytes())
