"""Whose domain a host is in: read from the proofs of domains that stand now."""

from collections.abc import Iterable, Sequence

from django.db.models import Q

from core.net import parse_address
from developers.models import DomainClaim


def holder_of_host(host: str) -> str | None:
    """Return the id of the organization that has proved the domain of a canonical host. None if none has."""
    claim = claim_of_host(host)
    return claim.organization_id if claim else None


def claim_of_host(host: str) -> DomainClaim | None:
    """Return the proved claim that decides for a canonical host. None if there is none."""
    return claim_among(_standing(Q(organization__domain__in=_names_above(_name_of(host)))), host)


def claims_around(domain: str) -> Sequence[DomainClaim]:
    """Return all proved claims that decide for any host in the domain."""
    above = Q(organization__domain__in=_names_above(domain))
    return _standing(above | Q(organization__domain__endswith=f".{domain}"))


def claim_among(claims: Iterable[DomainClaim], host: str) -> DomainClaim | None:
    """Return the one of the claims that decides for a canonical host, or None.

    A record in DNS proves the domain and all names below it, and the longest such domain counts. A file proves only
    the host that serves it, and only if no record covers that. A port makes no difference: it belongs to the host.
    """
    name = _name_of(host)
    if parse_address(name.strip("[]")):
        return None
    above = set(_names_above(name))
    covering = [(claim.proved_by == DomainClaim.Method.DNS, len(claim.name), claim) for claim in claims]
    covering = [each for each in covering if each[2].name == name or (each[0] and each[2].name in above)]
    return max(covering, key=lambda each: each[:2])[2] if covering else None


def _standing(condition: Q) -> Sequence[DomainClaim]:
    return list(DomainClaim.objects.filter(condition, proved_at__isnull=False))


def _name_of(host: str) -> str:
    """Return the host without its port."""
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _names_above(name: str) -> Sequence[str]:
    """Return the name and all domains above it, except for the last label alone."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]
