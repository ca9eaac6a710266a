"""Addresses in many networks."""

from ipaddress import ip_address, ip_network

from core.net import Ranges
from tests.shared import cases

NETWORKS = ["10.0.0.0/24", "10.0.1.0/24", "10.0.0.128/25", "192.0.2.7/32", "0.0.0.0/32", "2001:db8::/32", "::/128"]


@cases(
    "address",
    [
        *("0.0.0.0", "0.0.0.1", "9.255.255.255", "10.0.0.0", "10.0.0.255", "10.0.1.255", "10.0.2.0", "192.0.2.6"),
        *("192.0.2.7", "192.0.2.8", "255.255.255.255", "::", "::1", "2001:db7:ffff::", "2001:db8::", "2001:db9::"),
        *("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_ranges_find_what_a_network_has(address: str) -> None:
    networks = [ip_network(text) for text in NETWORKS]
    for listed in networks, networks[::-1], networks[:1], []:
        found = ip_address(address) in Ranges(listed)
        assert found == any(ip_address(address) in network for network in listed)
