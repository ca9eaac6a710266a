"""Checks of the environment: settings, secrets, access to the metrics."""

import math
import string
from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage, run_checks

from core.net import parse_address
from server.doctor.findings import Finding, ok, problem, skipped, warning

# `check_roles` says more.
ELSEWHERE = ("audit.W001",)
MIN_BITS = 128
LOWER = string.ascii_lowercase + string.digits
ALPHABETS = (string.digits, "0123456789abcdef", "0123456789ABCDEF", LOWER, string.ascii_letters + string.digits)
OTHER_CHARACTERS = 72
LOOPBACK = tuple(filter(None, map(parse_address, ("127.0.0.1", "::1"))))


def check_settings() -> Iterator[Finding]:
    """Run the checks of Django and of this project, those for production too if the address is public."""
    messages = run_checks(include_deployment_checks=settings.IS_HTTPS)
    found = [each for each in messages if not each.is_silenced() and each.id not in ELSEWHERE]
    yield from map(_finding_of, found)
    if not found:
        kind = "production" if settings.IS_HTTPS else "one machine, because API_URL is not https"
        yield ok(f"Settings are fit for {kind}: {settings.API_URL}.")


def _finding_of(message: CheckMessage) -> Finding:
    make = problem if message.is_serious() else warning
    return make(f"{message.msg} ({message.id})", str(message.hint or "See docs/configuration.md."))


def check_secrets() -> Iterator[Finding]:
    """Compare the secrets. The server does not start with short ones or those of examples."""
    jwt_secret, secret_key, token = settings.JWT_SECRET, settings.SECRET_KEY, settings.METRICS_TOKEN
    is_derived = secret_key == f"django:{jwt_secret}"
    named = {"JWT_SECRET": jwt_secret, **({} if is_derived else {"SECRET_KEY": secret_key}), "METRICS_TOKEN": token}
    given = {name: value for name, value in named.items() if value}
    problems = [
        *(_weakness(name, value) for name, value in given.items() if bits(value) < MIN_BITS),
        *([_shared()] if len(set(given.values())) < len(given) else []),
        *([_derived()] if is_derived and settings.IS_HTTPS else []),
    ]
    yield from problems
    if not problems:
        yield ok(f"{', '.join(given)}: at least {min(map(bits, given.values())):.0f} bits each, if random.")


def bits(secret: str) -> float:
    """Return the entropy of a secret whose characters were drawn at random from the smallest common alphabet."""
    size = next((len(each) for each in ALPHABETS if set(secret) <= set(each)), OTHER_CHARACTERS)
    return len(secret) * math.log2(size)


def _weakness(name: str, value: str) -> Finding:
    return problem(
        f"{name} has at most {bits(value):.0f} bits.", "Set a random value, for example from `openssl rand -hex 32`."
    )


def _shared() -> Finding:
    remedy = "Give each its own random value, so that a leak of one does not open the others."
    return problem("Two of JWT_SECRET, SECRET_KEY and METRICS_TOKEN are equal.", remedy)


def _derived() -> Finding:
    remedy = "Set SECRET_KEY, so that either can be changed without the other."
    return warning("SECRET_KEY is not set, so it is derived from JWT_SECRET.", remedy)


def check_metrics() -> Iterator[Finding]:
    """Say who may read `/metrics`."""
    if settings.METRICS_TOKEN:
        yield ok("/metrics requires METRICS_TOKEN.")
    elif any(address in network for address in LOOPBACK for network in settings.TRUSTED_PROXIES):
        message = "METRICS_TOKEN is not set, so a proxy on this host that adds no header would expose /metrics."
        yield warning(message, "Set METRICS_TOKEN (docs/operations.md#reading-the-metrics).")
    else:
        yield skipped("METRICS_TOKEN is not set: only direct requests from this host may read /metrics.")
