"""Deletion of registrations and codes that were not confirmed in time."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import AddressCode, PendingRegistration
from accounts.registration import start_registration
from accounts.services import new_user
from accounts.tasks import sweep_registrations
from accounts.verification import send_address_code
from tests.world import ANONYMOUS, PASSWORD, as_user, make_user

pytestmark = pytest.mark.django_db


def test_registrations_and_codes_are_deleted_after_fifteen_minutes() -> None:
    user = make_user("ada@example.com")
    send_address_code(actor=as_user(user), user=user, email="ada@work.example")
    pending = new_user(email="eve@example.com", password=PASSWORD)
    start_registration(actor=ANONYMOUS, kind=PendingRegistration.Kind.USER, user=pending)
    assert sweep_registrations() == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1)):
        assert sweep_registrations() == 2
    assert not PendingRegistration.objects.exists()
    assert not AddressCode.objects.exists()
