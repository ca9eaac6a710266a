"""Rotating the secrets of webhooks that a member saw when they leave."""

import pytest

from core import clock
from developers.members import end_membership
from developers.models import Developer
from developers.roles import Role
from events.departures import rotate_webhooks_seen_by, webhooks_seen_by
from events.selectors import signing_secrets
from events.services import CheckedUrl, delete_webhook, rotate_secret, update_webhook
from tests.events.webhooks import acting, make, webhook_for
from tests.world import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(developer: Developer) -> Developer:
    return make_member(developer, "a@example.com", Role.ADMIN)


def test_the_secrets_that_a_past_member_saw_last_are_rotated(developer: Developer, admin: Developer) -> None:
    """Also after another member has changed the URL: the receiver there still believes the secret."""
    moved, theirs, rotated, deleted = make(admin), make(developer), make(admin), webhook_for(admin)
    update_webhook(**acting(developer), webhook_id=moved.webhook.pk, url=CheckedUrl("https://new.example/in"))
    rotate_secret(**acting(admin), webhook_id=theirs.webhook.pk)
    rotate_secret(**acting(developer), webhook_id=rotated.webhook.pk)
    delete_webhook(**acting(developer), webhook_id=deleted.pk)
    end_membership(**acting(developer), member_id=admin.pk)
    assert webhooks_seen_by(admin) == [theirs.webhook, moved.webhook]

    new = rotate_webhooks_seen_by(actor=acting(developer)["actor"], member=admin, overlap_seconds=60)

    assert [(one.owner_id, one.owner) for one in new] == [
        (theirs.webhook.pk, "hooks.example"),
        (moved.webhook.pk, "new.example"),
    ]
    moved.webhook.refresh_from_db()
    assert signing_secrets(moved.webhook, clock.now()) == [new[1].value, moved.secret]
    assert moved.webhook.former_until == new[1].previous_expires_at
    assert webhooks_seen_by(admin) == []


def test_a_member_who_may_not_change_webhooks_learns_why(developer: Developer, admin: Developer) -> None:
    made = make(admin)
    other = make_member(developer, "b@example.com", Role.DEVELOPER)
    (refused,) = rotate_webhooks_seen_by(actor=acting(other)["actor"], member=admin)
    assert (refused.value, "owner or admin" in refused.problem) == ("", True)
    made.webhook.refresh_from_db()
    assert signing_secrets(made.webhook, clock.now()) == [made.secret]
