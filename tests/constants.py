"""Constants of all tests, including those over HTTP. This module imports none of the code under test."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

# The folders of tests that start servers, and the one of those that click in a browser.
LIVE_FOLDERS = ("demo", "live", "sdk")
FOLDERS_WITH_SERVERS = (*LIVE_FOLDERS, "web/browser")
PASSWORD = "correct-horse-battery-7"
NEW_PASSWORD = "the-owner's-own-passphrase-9"
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
CHEAP_ARGON2 = {"time_cost": 1, "memory_cost": 64, "parallelism": 1}
CALLBACK = "https://smartmail.example/callback"
# How tests start Chromium. A process for painting takes longer than painting in the browser, and optimizing scripts
# longer than running them once. All tabs of a profile share a process, because a new one takes longer than a page.
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CHROMIUM_OPTIONS += ["--disable-component-update", "--no-first-run"]
CHROMIUM_OPTIONS += ["--in-process-gpu", "--js-flags=--no-opt,--no-maglev,--always-sparkplug"]
CHROMIUM_OPTIONS += ["--disable-site-isolation-trials", "--process-per-site", "--renderer-process-limit=1"]
SCOPES = ("email:read", "email:send", "calendar:read")


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def challenge_for(verifier: str) -> str:
    """Return the S256 code challenge (RFC 7636, section 4.2)."""
    return base64url(hashlib.sha256(verifier.encode()).digest())


VERIFIER = "a-code-verifier-that-is-long-enough-for-rfc-7636"
CHALLENGE = challenge_for(VERIFIER)


def basic(name: str, secret: str) -> str:
    """Return the value of an Authorization header with Basic credentials."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
