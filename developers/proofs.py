"""Look for the token of a claimed domain: in DNS, or in a file on its website. Needs no database.

DNS is not authenticated here: an attacker who controls the resolver controls the answers.
"""

import logging
from typing import NamedTuple

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, Resolver

from core.fetching import FetchFailed, fetch_file
from developers.models import DomainClaim

LABEL = "_agentgate"
PATH = "/.well-known/agentgate.txt"
PREFIX = "agentgate-verification="
MAX_FILE_BYTES = 4096
# Of each attempt to read the records, and of the whole lookup.
ATTEMPT_SECONDS, LOOKUP_SECONDS = 2.0, 6.0

Method, Problem = DomainClaim.Method, DomainClaim.Problem
logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """How the token was found. Without a method, each of the ways has a problem."""

    method: str = ""
    dns_problem: str = ""
    file_problem: str = ""

    @property
    def is_gone(self) -> bool:
        """Return whether the token is certainly not there, rather than out of reach."""
        return not self.method and Problem.UNREACHABLE not in (self.dns_problem, self.file_problem)


def statement(token: str) -> str:
    """Return what the domain publishes: as a TXT record, or as a line of the file."""
    return f"{PREFIX}{token}"


def find_proof(domain: str, token: str) -> Found:
    """Return how the domain publishes the token. Raises `TooManyFetches`.

    It can take ten seconds, so call it outside transactions.
    """
    dns_problem = _problem_in_dns(domain, token)
    if not dns_problem:
        return Found(Method.DNS)
    file_problem = _problem_in_file(domain, token)
    return Found("", dns_problem, file_problem) if file_problem else Found(Method.FILE)


def _problem_in_dns(domain: str, token: str) -> str:
    """Return why the token is not among the TXT records. Empty if it is."""
    try:
        records = txt_records(f"{LABEL}.{domain}")
    except LookupFailed as error:
        logger.info("The TXT records of %s could not be read: %s", domain, error)
        return Problem.UNREACHABLE
    return _problem_with(records, token)


def _problem_in_file(domain: str, token: str) -> str:
    """Return why the token is not a line of the file. Empty if it is."""
    try:
        content = fetch_file(domain, PATH, max_bytes=MAX_FILE_BYTES).content
    except FetchFailed as error:
        logger.info("The file of %s could not be fetched: %s", domain, error)
        return Problem.ABSENT if error.status in (404, 410) else Problem.UNREACHABLE
    return _problem_with(content.splitlines(), token)


def _problem_with(lines: list[bytes], token: str) -> str:
    stripped = [line.strip() for line in lines]
    if statement(token).encode() in stripped:
        return ""
    return Problem.OTHER if any(line.startswith(PREFIX.encode()) for line in stripped) else Problem.ABSENT


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
