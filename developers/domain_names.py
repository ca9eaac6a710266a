"""Domain names that an organization can prove: in one spelling, and no public suffix.

Under a public suffix, such as `co.uk` or `github.io`, anyone can register names, so it belongs to no organization. The
full list (publicsuffix.org) has 10,000 rules and changes weekly. Here are the common ones; a suffix that is missing
could only be proved by the registry or the hosting company that runs it.
"""

import re

from django.utils.translation import gettext_noop

from core.net import parse_address
from core.uris import UnusableUri, canonical_uri
from core.wording import Filled

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAX_LENGTH = 200
ALONE = gettext_noop("Enter the domain alone, such as acme.com.")
# Below a country, for commerce, networks, schools and so on.
_SECOND_LEVELS = "ac co com edu gob gov go gv info ltd me mil ne net nom or org plc sch school"
# Other domains under which anyone gets a name, most of them of hosting companies.
_SHARED = """
    github.io gitlab.io githubusercontent.com pages.dev workers.dev vercel.app netlify.app herokuapp.com web.app
    firebaseapp.com appspot.com run.app cloudfunctions.net azurewebsites.net azurestaticapps.net cloudapp.net
    amazonaws.com cloudfront.net elasticbeanstalk.com fly.dev onrender.com render.com deno.dev glitch.me repl.co
    replit.app replit.dev surge.sh readthedocs.io blogspot.com wordpress.com tumblr.com wixsite.com myshopify.com
    ngrok.io ngrok.app ngrok-free.app trycloudflare.com duckdns.org dyndns.org no-ip.org ddns.net hopto.org
    uk.com us.com eu.com de.com gb.net eu.org
"""
# Names that do not exist in the DNS of the internet (RFC 6761, RFC 7686, RFC 8375, RFC 9476, ICANN's .internal).
_SPECIAL = "alt arpa example home internal intranet invalid lan local localhost onion test"
SECOND_LEVELS, SHARED, SPECIAL = (frozenset(names.split()) for names in (_SECOND_LEVELS, _SHARED, _SPECIAL))


class UnusableDomain(ValueError):
    """The text is not a domain that an organization can prove. The message is a sentence that says why."""


def canonical_domain(text: str) -> str:
    """Return the domain in lower case and ASCII (UTS 46), without a final dot. Raises `UnusableDomain`."""
    text = text.strip()
    if re.search(r"[/:@?#\[\]\s\\%*]", text) or not text.strip("."):
        raise UnusableDomain(ALONE)
    try:
        domain = canonical_uri(f"https://{text}").removeprefix("https://")
    except UnusableUri as error:
        raise UnusableDomain(error.args[0]) from error
    labels = domain.split(".")
    if len(labels) < 2:
        raise UnusableDomain(ALONE)
    if parse_address(domain) or len(domain) > MAX_LENGTH or not all(LABEL.fullmatch(label) for label in labels):
        raise UnusableDomain(gettext_noop("Must be a domain name, such as acme.com."))
    if labels[-1] in SPECIAL:
        raise UnusableDomain(Filled(gettext_noop("Names in .%(zone)s are not on the internet."), zone=labels[-1]))
    if is_public_suffix(domain):
        raise UnusableDomain(Filled(gettext_noop("Anyone can get a name in %(domain)s. Enter yours."), domain=domain))
    return domain


def is_public_suffix(domain: str) -> bool:
    """Return whether the domain is known as one under which anyone can register names. It must be canonical."""
    labels = domain.split(".")
    is_below_country = len(labels) == 2 and len(labels[1]) == 2 and labels[0] in SECOND_LEVELS
    return len(labels) < 2 or is_below_country or domain in SHARED
