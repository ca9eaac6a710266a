import re
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import Annotated

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from core.local import listed
from core.net import Network, Ranges, parse_address
from core.validation import did_you_mean, invalid_value
from core.wording import Filled
from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.fields import Listed, Text
from policies.rules.words import Titles

STARS = re.compile(r"(?<!\.\*)(?:\.\*)+\Z")
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
        if (most := _most_bits(text)) is not None:
            return invalid_value(Filled(gettext_noop("Must have a prefix length of at most %(most)d."), most=most))
        message = gettext_noop("Must be a range such as 203.0.113.0/24 or 2001:db8::/32.")
        return invalid_value(did_you_mean(message, _in_other_words(text)))
    if not text.partition("/")[2].isdecimal():
        message = gettext_noop("Must have its prefix length as a number. Use %(nearest)s.")
        return invalid_value(Filled(message, nearest=nearest))
    text = gettext_noop(
        "Has bits set beyond the prefix length. Use %(nearest)s, or the address without a prefix length."
    )
    return invalid_value(Filled(text, nearest=nearest))


def _most_bits(text: str) -> int | None:
    """Return the longest possible prefix if only the prefix length of the range is wrong."""
    address, _slash, length = text.partition("/")
    try:
        return ip_address(address).max_prefixlen if length.isdecimal() else None
    except ValueError:
        return None


def _in_other_words(text: str) -> str | None:
    """Return the range that the text has as its two ends or with stars, or None."""
    first, has_ends, last = text.partition("-")
    if not has_ends and (stars := STARS.search(text)):
        first, last = text[: stars.start()] + ".0" * (len(stars[0]) // 2), text[: stars.start()]
        last += ".255" * (len(stars[0]) // 2)
    try:
        ranges = list(summarize_address_range(ip_address(first.strip()), ip_address(last.strip())))
    except (ValueError, TypeError):
        return None
    return str(ranges[0]) if len(ranges) == 1 else None


@register("ip_allowlist", title=gettext_noop("Allowed IP addresses"))
class IpAllowlist(Rule):
    """Allow only requests from listed IP addresses. A request without an address is denied."""

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

    @cached_property
    def ranges(self) -> Ranges:
        return Ranges(self.networks)

    @property
    def depends_on_agent(self) -> bool:
        return False

    def check(self, ctx: RuleContext) -> Denial | None:
        address = parse_address(ctx.ip)
        if address is None:
            return Denial("The request has no IP address, and only listed addresses are allowed.")
        if address not in self.ranges:
            return Denial("The IP address is not on the allowlist.")
        return None

    def in_words(self, titles: Titles | None = None) -> str:
        if not self.cidrs:
            return _("No IP addresses are allowed")
        return _("Only from these internet addresses: %(addresses)s") % {"addresses": listed(self.cidrs, "or")}
