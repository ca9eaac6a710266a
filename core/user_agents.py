"""A device in words, from the user agent that a browser or program sends.

It is what the device says of itself, and anyone can send anything: use it to help a user to recognize a device, and
never to decide anything.
"""

from functools import lru_cache

from django.utils.translation import gettext as _
from ua_parser import parse

from core.text import plain_text

MAX_WORDS = 60
# Names of the parser that differ from what people say.
BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "HeadlessChrome": "Chrome",
    "Mobile Safari": "Safari",
}
SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}
# Apple's devices are known by their own names.
APPLE = ("iPhone", "iPad", "Mac")
MOBILE = ("iPhone", "iPad", "iOS", "Android", "KaiOS")
# What most people use. Anyone can name a program like a sentence.
COMMON = frozenset({"Chrome", "Edge", "Firefox", "Opera", "Safari"})
COMPUTER, PHONE, PROGRAM = "computer", "phone", "program"


def device_in_words(user_agent: str) -> str:
    """Return "Chrome on Windows", the name of a program, or an empty string if there is no user agent."""
    browser, system = _parts(user_agent)
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system} if browser and system else browser


def common_device_in_words(user_agent: str) -> str:
    """Return the same for a common browser on a common system, and an empty string for any other."""
    browser, system = _parts(user_agent)
    is_common = browser in COMMON and system in {"Windows", "macOS", "Linux", "Ubuntu", "ChromeOS", *APPLE, *MOBILE}
    return device_in_words(user_agent) if is_common else ""


def kind_of_device(user_agent: str) -> str:
    """Return whether this is a browser on a phone or tablet, on a computer, or a program."""
    browser, system = _parts(user_agent)
    if not (browser and system):
        return PROGRAM
    return PHONE if system in MOBILE else COMPUTER


def program_of(user_agent: str) -> str:
    """Return the first product of a user agent, without its version: `curl` of `curl/8.4.0`."""
    return plain_text(user_agent).partition("/")[0][:MAX_WORDS].strip()


@lru_cache(1024)
def _parts(user_agent: str) -> tuple[str, str]:
    """Return the browser, or else the program, and the system. Both may be empty."""
    found = parse(user_agent)
    family = found.user_agent.family if found.user_agent else ""
    model = found.device.model if found.device and found.device.brand == "Apple" else ""
    system = model if model in APPLE else found.os.family if found.os else ""
    browser = BROWSERS.get(family, family) or program_of(user_agent)
    return plain_text(browser)[:MAX_WORDS], plain_text(SYSTEMS.get(system, system))[:MAX_WORDS]
