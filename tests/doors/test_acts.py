"""Each act is the same at every door: the step-up, the entry in the log, and the mail."""

from copy import deepcopy
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from accounts.models import Notice
from accounts.notices import send_notices
from tests.doors.acts import ACTS, CREDENTIALS, LEADS, Act, Credential, Door
from tests.doors.conftest import LONG_AGO, Scene
from tests.log import log_entries
from tests.shared import cases

JUST_NOW = timedelta(0)
CASES = [(act, door, credential) for act in ACTS for door in act.doors for credential in door.credentials]


def count(act: Act) -> tuple[int, int]:
    """Return how many entries and mails there are of the act."""
    return log_entries(event=act.event).count(), Notice.objects.filter(name=act.mail).count()


def is_asked(answer: Any, door: Door) -> bool:
    """Return whether the response asks for the password."""
    if door.is_page:
        return bool(answer.status_code == 303 and answer["Location"].startswith("/accounts/reauthenticate/"))
    return bool(answer.status_code == 403 and answer.json()["code"] == "reauthentication_required")


@cases(("act", "door", "credential"), CASES)
def test_the_act_steps_up_and_has_one_entry_and_its_mail(
    act: Act, door: Door, credential: Credential, scene: Scene
) -> None:
    scene = deepcopy(scene)
    if act.before:
        getattr(scene, act.before)()
    entries, mails = before = count(act)
    is_session = credential != "API key"

    if act.steps_up and is_session:
        assert is_asked(scene.knock(door, credential, signed_in_ago=LONG_AGO), door)
        assert count(act) == before
    answer = scene.knock(door, credential, signed_in_ago=JUST_NOW if act.steps_up else LONG_AGO)

    answer.getvalue()  # until it is read, a download holds the place of its account
    assert answer.status_code < 400
    assert not is_asked(answer, door)
    assert count(act) == (entries + act.entries, mails + bool(act.mail and is_session))


@pytest.mark.parametrize("act", CREDENTIALS, ids=lambda act: act.name)
def test_the_mail_about_a_credential_says_what_and_leads_to_the_list(act: Act, scene: Scene, mailoutbox: Any) -> None:
    Notice.objects.all().delete()
    scene.knock(act.doors[0], "cookie", signed_in_ago=JUST_NOW)

    send_notices()

    (mail,) = [one for one in mailoutbox if one.to == [scene.user.email]]
    assert "/account/credentials" in mail.body
    assert "with your AgentGate account" in mail.body


@pytest.mark.parametrize("path", LEADS)
def test_a_page_leads_to_a_download_after_the_password(path: str, scene: Scene) -> None:
    path = path.format(**scene.ids)
    asked = scene.browser(LONG_AGO).client.get(path)
    assert (asked.status_code, asked["Location"]) == (303, f"/accounts/reauthenticate/?next={quote(path, safe='')}")

    client = scene.browser(JUST_NOW).client
    download = client.get(path, follow=True)
    download.getvalue()
    assert download["Content-Type"] == "application/jsonl"
