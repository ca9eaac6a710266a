"""Sweeps of expired rows, and mails about requests that wait for their users."""

from celery import shared_task

from approvals import mails
from approvals import services as approvals
from consent import codes, services
from core.sweeps import sweep


@shared_task
def sweep_consents() -> int:
    return sweep(services.expire_requests, services.expire_grants)


@shared_task
def sweep_undecided_consents() -> int:
    return sweep(services.delete_undecided_consents)


@shared_task
def sweep_codes() -> int:
    return sweep(codes.delete_expired_codes)


@shared_task
def sweep_approvals() -> int:
    return sweep(approvals.expire_pending, approvals.expire_unused, approvals.delete_ended_approvals)


@shared_task
def mail_approvals() -> int:
    return mails.tell_users()
