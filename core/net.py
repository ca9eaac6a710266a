"""The caller's IP address. `X-Forwarded-For` is used only if it comes from a trusted proxy.

granian's wrapper for the headers of proxies accepts any text as the visitor's address, and leaves what other peers send
in the request.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Ranges:
    """Networks, sorted and merged, so that finding an address among hundreds takes a microsecond."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._firsts: list[tuple[int, int]] = []
        self._lasts: list[tuple[int, int]] = []
        for first, last in sorted((_place(each[0]), _place(each[-1])) for each in networks):
            if self._lasts and first <= self._lasts[-1]:
                self._lasts[-1] = max(last, self._lasts[-1])
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __contains__(self, address: Address) -> bool:
        place = _place(address)
        index = bisect_right(self._firsts, place)
        return index > 0 and place <= self._lasts[index - 1]


def _place(address: Address) -> tuple[int, int]:
    """Return what orders addresses of both versions."""
    return address.version, int(address)


@lru_cache(4096)
def parse_address(text: str | None) -> Address | None:
    """Return the address, or None if `text` is not exactly one. IPv4-mapped addresses are returned as IPv4.

    Addresses with a zone (RFC 4007) are rejected: it can be any text of any length, and means nothing on another
    machine.
    """
    if text is None or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(4096)
def canonical_address(text: str) -> str | None:
    """Return the address in its shortest form, or None if `text` is not exactly one."""
    address = parse_address(text)
    return str(address) if address else None


def without_zone(text: str) -> str:
    """Return an address reported by the kernel or a trusted proxy, without its zone."""
    return text.strip().partition("%")[0]


def is_trusted(address: Address | None, proxies: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in proxies)


def client_address(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """Return the first address that is not a trusted proxy, reading `X-Forwarded-For` from the right.

    Forged entries are never reached, because they are to the left of those that the trusted proxies appended.
    """
    address = parse_address(without_zone(peer))
    for hop in reversed(forwarded_for.split(",")):
        earlier = parse_address(without_zone(hop))
        if earlier is None or not is_trusted(address, proxies):
            break
        address = earlier
    return str(address) if address else ""
