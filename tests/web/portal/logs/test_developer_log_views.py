"""The developer's saved views of the log."""

from html import unescape

import pytest

from tests.web.markup import text_of


def save(client, name="Denials", query="outcome=denied&cursor=x&made=up"):
    return client.post("/developer/logs/views", {"name": name, "query": query})


def test_the_page_links_to_a_saved_view_and_marks_it(as_developer):
    answer = save(as_developer)
    assert (answer.status_code, answer["Location"]) == (303, "/developer/logs?outcome=denied")
    page = text_of(as_developer, "/developer/logs?outcome=denied")
    assert '<a data-live href="/developer/logs?outcome=denied" aria-current="page"><bdi>Denials</bdi></a>' in page


@pytest.mark.parametrize(("name", "error"), [("", "This field is required."), ("DENIALS", "You already have a view")])
def test_a_refused_name_is_shown_again(as_developer, name, error):
    save(as_developer)
    answer = save(as_developer, name, "agent=&rule=rate_limit")
    text = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert f"Name of the view: {error}" in text
    assert 'value="agent=&rule=rate_limit"' in text


def test_it_can_be_renamed_and_deleted(as_developer, developer):
    save(as_developer)
    view = developer.saved_views.get()
    assert as_developer.post(f"/developer/logs/views/{view.id}/rename", {"name": "Refusals"}).status_code == 303
    assert "Refusals" in text_of(as_developer, "/developer/logs")
    assert 'Outcome: <bdi translate="no">Denied</bdi>' in text_of(as_developer, "/developer/logs/views")
    refused = as_developer.post(f"/developer/logs/views/{view.id}/rename", {"name": " "})
    assert (refused.status_code, "Name of the view: This field is required." in refused.content.decode()) == (
        422,
        True,
    )
    assert as_developer.post(f"/developer/logs/views/{view.id}/delete").status_code == 303
    assert "No saved views yet" in text_of(as_developer, "/developer/logs/views")


def test_another_developer_sees_and_changes_none_of_it(as_developer, as_rival, developer):
    save(as_developer)
    view = developer.saved_views.get()
    assert "Denials" not in text_of(as_rival, "/developer/logs") + text_of(as_rival, "/developer/logs/views")
    for path, data in ((f"{view.id}/rename", {"name": "Mine"}), (f"{view.id}/delete", {})):
        assert as_rival.post(f"/developer/logs/views/{path}", data).status_code == 404
    assert developer.saved_views.get().name == "Denials"
