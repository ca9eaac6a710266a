"""Whose domain a host is in: read from the proofs of domains that stand now."""

from collections.abc import Sequence

from core.net import parse_address
from developers.models import DomainClaim, Organization


def holder_of_host(host: str) -> str | None:
    """Return the id of the organization that has proved the domain of a canonical host. None if none has.

    A record in DNS proves the domain and all names below it, and the longest such domain counts. A file proves only
    the host that serves it, and only if no record covers that. A port makes no difference: it belongs to the host.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if parse_address(name.strip("[]")):
        return None
    standing = Organization.objects.filter(domain__in=_names_above(name), domain_claim__proved_at__isnull=False)
    found = list(standing.values_list("domain", "domain_claim__proved_by", "pk"))
    covering = [each for each in found if each[1] == DomainClaim.Method.DNS or each[0] == name]
    return max(covering, key=lambda each: (each[1] == DomainClaim.Method.DNS, len(each[0])))[2] if covering else None


def _names_above(name: str) -> Sequence[str]:
    """Return the name and all domains above it, except for the last label alone."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]
