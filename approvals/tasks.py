"""Sweeps of approvals that have ended, and emails about requests that wait for their users."""

from celery import shared_task

from approvals import mails, services
from core.sweeps import sweep


@shared_task
def sweep_approvals() -> int:
    return sweep(services.expire_pending, services.expire_unused, services.delete_ended_approvals)


@shared_task
def mail_approvals() -> int:
    return mails.notify_users()
