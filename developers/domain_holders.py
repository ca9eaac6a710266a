"""Whose domain a host is in: read from the proofs of domains that stand now."""

from collections.abc import Sequence

from core.net import parse_address
from developers.models import DomainClaim


def holder_of_host(host: str) -> str | None:
    """Return the id of the organization that has proved the domain of a canonical host. None if none has.

    A record in DNS proves the domain and all names below it, and the longest such domain counts. A file proves only
    the host that serves it, and only if no record covers that. A port makes no difference: it belongs to the host.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if parse_address(name.strip("[]")):
        return None
    standing = DomainClaim.objects.filter(organization__domain__in=_names_above(name), proved_at__isnull=False)
    covering = [(claim.proved_by == DomainClaim.Method.DNS, len(claim.name), claim) for claim in standing]
    covering = [each for each in covering if each[0] or each[2].name == name]
    return max(covering)[2].organization_id if covering else None


def _names_above(name: str) -> Sequence[str]:
    """Return the name and all domains above it, except for the last label alone."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]
