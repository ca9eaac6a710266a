"""The caller's address, believed only from proxies we were told to trust."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse_address(text: str | None) -> Address | None:
    """Return the address, an IPv4-mapped one as that IPv4. None when it is not one, or when anything surrounds it.

    A zone (RFC 4007) may be any text of any length and means nothing beyond its own machine, so it makes it none.
    """
    if text is None or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def without_zone(text: str) -> str:
    """Return an address that the kernel or a proxy of ours names, without the zone that it was reached in."""
    return text.strip().partition("%")[0]


def is_trusted(address: Address | None, proxies: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in proxies)


def client_address(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """Return the nearest address that is not one of our proxies, reading `X-Forwarded-For` from the right.

    A forged entry stands to the left of what our own proxy appended, so it is never reached.
    """
    address = parse_address(without_zone(peer))
    for hop in reversed(forwarded_for.split(",")):
        earlier = parse_address(without_zone(hop))
        if earlier is None or not is_trusted(address, proxies):
            break
        address = earlier
    return str(address) if address else ""
