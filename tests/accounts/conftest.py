"""Password resets by the owner of a mailbox."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.mails import link_in


@pytest.fixture
def reset(mails: list[Any]) -> Callable[..., Any]:
    """Return a function that resets a password through the emailed link."""

    def run(email: str, password: str) -> Any:
        client = Client()
        client.post("/accounts/password/reset/", {"email": email})
        page = client.get(link_in(mails[-1]), follow=True)
        form = {"password1": password, "password2": password}
        return client.post(page.request["PATH_INFO"], form, follow=True)

    return run
