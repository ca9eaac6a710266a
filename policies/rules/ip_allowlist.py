from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from core.net import Network, parse_address
from core.validation import invalid_value
from core.wording import Filled
from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.fields import Listed, Text

MAPPED_BITS = 96  # ::ffff:0:0/96 holds the IPv4 addresses (RFC 4291 section 2.5.5.2)


def parse_network(text: str) -> Network:
    """Return the network, with IPv4-mapped addresses as IPv4. Raises `ValueError`."""
    network = ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - MAPPED_BITS))


def _require_network(text: str) -> str:
    length = text.partition("/")[2]
    try:
        # Python would read a mask such as /0.0.0.255 as a host mask, with the opposite meaning.
        if "%" in text or ("/" in text and not length.isdecimal()):
            raise ValueError(text)
        parse_network(text)
    except ValueError as error:
        raise _explain(text) from error
    return text


def _explain(text: str) -> PydanticCustomError:
    try:
        nearest = str(ip_network(text, strict=False))
    except ValueError:
        return invalid_value(gettext_noop("Must be a range such as 203.0.113.0/24 or 2001:db8::/32."))
    text = gettext_noop(
        "Has bits set beyond the prefix length. Use %(nearest)s, or the address without a prefix length."
    )
    return invalid_value(Filled(text, nearest=nearest))


@register("ip_allowlist", title=gettext_noop("Allowed IP addresses"))
class IpAllowlist(Rule):
    """Allow only requests from listed IP addresses. A request without an address is denied."""

    reads_context = False

    cidrs: Annotated[
        Listed[Annotated[Text, AfterValidator(_require_network)]],
        Field(
            title=gettext_noop("IP address ranges"),
            description=gettext_noop("For example 203.0.113.0/24 or 2001:db8::/32."),
        ),
    ]

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        return tuple(parse_network(cidr) for cidr in self.cidrs)

    def check(self, ctx: RuleContext) -> Denial | None:
        address = parse_address(ctx.ip)
        if address is None:
            return Denial("The request has no IP address, and only listed addresses are allowed.")
        if not any(address in network for network in self.networks):
            return Denial("The IP address is not on the allowlist.")
        return None

    def sentence(self) -> str:
        if not self.cidrs:
            return _("No IP addresses are allowed")
        return _("Only from %(addresses)s") % {"addresses": get_text_list(list(self.cidrs), _("or"))}
