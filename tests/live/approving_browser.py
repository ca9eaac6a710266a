"""A command for `BROWSER`: a new user approves the consent request and follows the redirect."""

import sys

import httpx

from tests.live.gate import Gate, expect
from tests.live.server import ROOT

SDK = ROOT / "sdk" / "python" / "src"


def environment(**more: str) -> dict[str, str]:
    """Return environment variables with which the SDK can be imported and opens this browser."""
    command = f"{sys.executable} -m {__name__} %s"
    return {"PYTHONPATH": f"{SDK}:{ROOT}", "BROWSER": command, **more}


def approve(consent_url: str) -> None:
    """Approve the request at this URL as a new user, and follow the redirect."""
    server, consent_id = consent_url.split("/consent/")
    gate = Gate(server)
    answer = expect(200, gate.post(f"/consent/{consent_id}/approve", **gate.person().headers))
    httpx.get(answer["redirectUrl"]).raise_for_status()


if __name__ == "__main__":
    approve(sys.argv[1])
