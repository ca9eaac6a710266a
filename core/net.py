"""The caller's address, believed only from proxies we were told to trust."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse_address(text: str | None) -> Address | None:
    """Return the address, an IPv4-mapped one as that IPv4. None when it is not one."""
    try:
        address = ip_address((text or "").strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_trusted(address: Address | None, proxies: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in proxies)


def client_address(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """Return the nearest address that is not one of our proxies, reading `X-Forwarded-For` from the right.

    A forged entry stands to the left of what our own proxy appended, so it is never reached.
    """
    address = parse_address(peer)
    for hop in reversed(forwarded_for.split(",")):
        earlier = parse_address(hop)
        if earlier is None or not is_trusted(address, proxies):
            break
        address = earlier
    return str(address) if address else ""
