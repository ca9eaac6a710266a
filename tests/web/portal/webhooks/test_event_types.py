"""The event types, with an example of each."""

import json
from html import unescape

from django.test import Client

from events.examples import examples
from events.types import TYPES
from tests.web.markup import markup_of
from web.portal.webhooks.catalogue import in_words, subjects

PATH = "/developer/settings/webhooks/events"


def test_each_type_has_a_sentence_without_placeholders() -> None:
    listed = [one for subject in subjects() for one in subject.types]
    assert sorted(one.name for one in listed) == list(TYPES)
    for one in listed:
        assert one.words.endswith(".")
        assert "%" not in one.words
        assert not {"agent an agent", "policy a policy", "organization the organization"} & {one.words}, one.name
    assert in_words("agent.suspended") == "A member suspended an agent."


def test_each_type_is_listed_and_has_a_page_with_its_example(as_developer: Client) -> None:
    page = markup_of(as_developer.get(PATH))
    for name in TYPES:
        assert f'events/{name}"' in page
    example = unescape(as_developer.get(f"{PATH}/consent.revoked").content.decode())
    example = example[example.index("<pre") : example.index("</pre>")]
    assert json.loads(example[example.index("{") :]) == examples()["consent.revoked"]


def test_a_type_that_does_not_exist_has_no_page(as_developer: Client) -> None:
    assert as_developer.get(f"{PATH}/consent.nothing").status_code == 404
    assert as_developer.get(f"{PATH}/user.signed_in").status_code == 404
