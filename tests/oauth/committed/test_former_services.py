"""Requests beside a change of hands."""

from functools import partial

import pytest

from accounts.models import User
from developers.models import Developer
from tests.log import log_entries
from tests.oauth.client import OAuthClient
from tests.oauth.test_former_services import MAIL, ada, asked, client, newcomer, owner, pass_on
from tests.threads import race

__all__ = ["ada", "client", "newcomer", "owner"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_request_beside_the_change_of_hands_is_never_for_the_newcomer(
    client: OAuthClient, ada: User, owner: Developer, newcomer: Developer
) -> None:
    token, holders = client.tokens(ada, resource=MAIL)["access_token"], [newcomer, owner]
    for number in range(6):
        race([partial(pass_on, holders[number % 2]), partial(asked, token, MAIL)])
    allowed = [entry for entry in log_entries(event="token.verify") if entry.content["outcome"] == "allowed"]
    assert not [entry for entry in allowed if newcomer.organization_id in entry.organization_ids]
    assert asked(token, MAIL) is None  # the owner has it again
