"""Look up TXT records. DNS is not authenticated here: an attacker who controls the resolver controls the answers."""

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, Resolver

# Of each attempt, and of the whole lookup.
ATTEMPT_SECONDS, LOOKUP_SECONDS = 2.0, 6.0


class LookupFailed(Exception):
    """No resolver gave a usable answer. The message is for the log."""


def txt_records(name: str) -> list[bytes]:
    """Return the TXT records of a name, each with its strings joined. Empty if there are none. Raises `LookupFailed`.

    It can take `LOOKUP_SECONDS`.
    """
    try:
        answer = system_resolver().resolve(f"{name}.", "TXT", raise_on_no_answer=False, search=False)
    except NXDOMAIN:
        return []
    except DNSException as error:
        raise LookupFailed(str(error)) from error
    return [b"".join(record.strings) for record in answer.rrset or ()]


def system_resolver() -> Resolver:
    """Return what asks the name servers of /etc/resolv.conf. Raises `DNSException` if it cannot be read."""
    resolver = Resolver()
    resolver.timeout, resolver.lifetime = ATTEMPT_SECONDS, LOOKUP_SECONDS
    return resolver
