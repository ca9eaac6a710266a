"""A browser for `BROWSER`: a new person opens the consent page, allows everything, and follows the redirect."""

import sys

import httpx

from tests.live.gate import Gate, expect
from tests.live.server import ROOT

SDK = ROOT / "sdk" / "python" / "src"


def environment(**more: str) -> dict[str, str]:
    """Return the variables of a shell in which the SDK is installed and this browser opens."""
    command = f"{sys.executable} -m {__name__} %s"
    return {"PYTHONPATH": f"{SDK}:{ROOT}", "BROWSER": command, **more}


def approve(consent_url: str) -> None:
    """Do what `webbrowser.open` would let a new person do at this address."""
    server, consent_id = consent_url.split("/consent/")
    gate = Gate(server)
    answer = expect(200, gate.post(f"/consent/{consent_id}/approve", **gate.person().headers))
    httpx.get(answer["redirectUrl"]).raise_for_status()


if __name__ == "__main__":
    approve(sys.argv[1])
