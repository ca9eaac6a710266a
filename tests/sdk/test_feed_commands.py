"""The requests of the portal's page Feed, run as they are. `tests/live/test_receivers.py` runs the other commands."""

import json
import os
import subprocess

from agentgate_oauth import AgentGateAdmin

from tests.live.gate import Gate
from tests.waiting import wait_until
from web.portal.feed.commands import HTTP


def test_curl_reads_a_page_and_waits_and_gets_a_stream(gate: Gate) -> None:
    """The number 42 stands for the last one that the reader has."""
    own = gate.developer()
    with AgentGateAdmin(gate.url, own.api_key) as admin:
        admin.create_policy(name="No mail", rules=[{"type": "action_blocklist", "config": {"actions": ["email:send"]}}])
        numbers = [1, 2]  # the registration and the policy
        wait_until(lambda: [event.stream.number for event in admin.iter_events()] == numbers)
    environment = {"PATH": os.environ["PATH"], "AGENTGATE_URL": gate.url, "AGENTGATE_API_KEY": own.api_key}
    page, waited, stream = (
        subprocess.check_output(["bash", "-c", one.text.replace("42", str(numbers[0]))], env=environment, text=True)
        for one in HTTP
    )
    assert json.loads(page) == {"items": [], "next": numbers[-1]}
    assert [event["stream"]["number"] for event in json.loads(waited)["items"]] == numbers[1:]
    assert f"id: {numbers[1]}\n" in stream
