"""The callers of decisions: resource servers with a credential, and anonymous callers, which are throttled."""

from collections.abc import Mapping, Sequence

from django.conf import settings

from core import secrets
from core.actor import Actor
from core.errors import NotAuthenticated, Throttled
from core.http import read_basic
from decisions.expectations import proved_organization
from decisions.memory import Bounded
from decisions.requests import Credential
from limits.quick_throttle import Hit, QuickThrottle
from limits.throttle import Subject, address_subjects, client_subjects, throttle_client_failures

MAX_CREDENTIALS = 10_000
# Real ones are shorter. Longer ones are not remembered, because anyone can send them.
MAX_REMEMBERED_LENGTH = 256
# How much extra cost a service may have, in multiples of the rate of anonymous callers.
EXTRA_TIMES = 10

# By the digest of the header, so that no secret stays in memory.
_known: Bounded[str, Credential] = Bounded(MAX_CREDENTIALS)


def read_credential(headers: Mapping[str, str], header: str = "authorization") -> Credential | None:
    """Return the credential that a resource server sent as HTTP Basic in `header`, or None if the header is missing.

    The decision checks it. Raises `NotAuthenticated` if it is unreadable, or missing but required.
    """
    sent = headers.get(header)
    if sent is not None:
        key = secrets.digest(sent)
        return _known.get(key) or _read(headers, header, key)
    require_anonymous_allowed()
    return None


def _read(headers: Mapping[str, str], header: str, key: str) -> Credential | None:
    basic = read_basic(headers, header)
    if basic is None:
        return None
    credential = Credential(basic.name, secrets.digest(basic.secret))
    if len(headers[header]) <= MAX_REMEMBERED_LENGTH:
        _known[key] = credential
    return credential


def require_anonymous_allowed() -> None:
    """Raise `NotAuthenticated` if callers must have a credential."""
    if settings.VERIFY_REQUIRES_CREDENTIAL:
        raise NotAuthenticated("Authenticate as a resource server: send res_...:rs_... as HTTP Basic.")


def anonymous_hit(actor: Actor, cost: int) -> Hit:
    """Return the hit for the questions of an anonymous caller, by IP address."""
    return Hit(address_subjects(actor.ip or ""), cost)


def extra_hit(actor: Actor, credential: Credential, extra: int) -> Hit | None:
    """Return the hit for a service's extra cost, or None. The usual cost of services is not throttled.

    It counts by the secret, so that a caller without it cannot use up the service's rate. Until the secret has proved
    right, it counts by IP address, because each wrong secret would take space.
    """
    if not extra:
        return None
    if proved_organization(credential):
        return Hit([Subject(f"credential:{credential.digest}", EXTRA_TIMES)], extra)
    addresses = address_subjects(actor.ip or "")
    return Hit([Subject(f"unproved:{each.name}", EXTRA_TIMES * each.times) for each in addresses], extra)


def throttle_questions(hits: Sequence[Hit]) -> list[Throttled | None]:
    """Count the costs of questions. Return the refusal of each hit, or None if it was counted."""
    return QuickThrottle("verify", settings.THROTTLE_VERIFY).hit_all(hits)


def count_questions(hit: Hit) -> None:
    """Count the cost of one caller's questions. Raises `Throttled`."""
    _raise_refusal(throttle_questions([hit]))


def failure_hit(actor: Actor, credential: Credential) -> Hit:
    """Return the hit for a wrong credential, by IP address and by the resource server that it names."""
    return Hit(client_subjects(actor.ip or "", credential.server_id))


def throttle_failures(hits: Sequence[Hit]) -> list[Throttled | None]:
    """Count wrong credentials. Return the refusal of each hit, or None. The right secret never counts."""
    return throttle_client_failures([hit.subjects for hit in hits])


def count_failure(hit: Hit) -> None:
    """Count one wrong credential. Raises `Throttled`."""
    _raise_refusal(throttle_failures([hit]))


def _raise_refusal(refusals: Sequence[Throttled | None]) -> None:
    for refusal in filter(None, refusals):
        raise refusal
