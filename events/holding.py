"""What a worker does in the database: it takes webhooks whose time has come, and records what became of their tries.

A worker holds a webhook while it tries its deliveries. Only then may it record results, and it must say often that it
still works on it. If it dies, its hold ends, and another worker makes the tries again. So an event can be sent twice,
but no two workers make the same try.

All this happens in rounds, each one transaction, so that a try costs few statements.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import Coalesce, RowNumber

from core import clock
from core.crypto import SealBroken
from core.locks import write_transaction
from events.following import MAX_OUTSTANDING, holder
from events.models import Delivery, Webhook
from events.schedule import (
    SLOW,
    SLOW_FOR,
    Load,
    Outstanding,
    Queue,
    due_now,
    is_blocked,
    next_due,
    next_try,
    take_turns,
    trips,
)
from events.selectors import signing_secrets
from events.sending import GONE, UNREADABLE, Outcome, Target
from events.switching import switch_off

logger = logging.getLogger(__name__)

# A dead worker's tries are made again after this time.
HOLD = timedelta(seconds=30)
RENEW_BEFORE = timedelta(seconds=20)
# How many webhooks that are due are looked at for their turns, of those that are doubtful and of the others.
MAX_CANDIDATES = 128
# With fewer outstanding deliveries, more are queued for a webhook that is behind.
ENOUGH = MAX_OUTSTANDING // 2
MAX_CATCHING_UP = 4
# When to look again at a webhook that is behind, if others are catching up.
SOON = timedelta(seconds=0.5)

Status, Disabled = Delivery.Status, Webhook.Disabled
DOUBTFUL = Q(delivered_at=None) | Q(failing_since__isnull=False)
COLUMNS = Outstanding._fields
NOTHING = Outstanding("", "", "", 0, 0, 0, datetime.max.replace(tzinfo=UTC), None)


class Try(NamedTuple):
    """A try that starts. `delivery.attempt` counts it. Those of one `trip` are made one after the other."""

    delivery: Outstanding
    target: Target
    queue: Queue
    at: datetime
    trip: str


class Result(NamedTuple):
    """A try that has ended."""

    made: Try
    outcome: Outcome


@dataclass(slots=True)
class Work:
    """What this worker is doing: the webhooks that it holds, each until when, its tries, and what is catching up.

    `slow` are webhooks that answered slowly, each until when that counts.
    """

    held: dict[str, datetime] = field(default_factory=dict)
    tries: dict[str, Try] = field(default_factory=dict)
    catching_up: set[str] = field(default_factory=set)
    slow: dict[str, datetime] = field(default_factory=dict)

    def busy(self) -> set[str]:
        """Return the webhooks with something in flight."""
        return self.catching_up | {one.queue.webhook_id for one in self.tries.values()}

    def load(self) -> Load:
        load = Load()
        for queue in {one.trip: one.queue for one in self.tries.values()}.values():
            load.add(queue)
        return load


@dataclass(slots=True)
class Round:
    """What a round has decided: which tries start, which webhooks catch up, and what is held after it."""

    tries: list[Try] = field(default_factory=list)
    behind: list[Webhook] = field(default_factory=list)
    held: dict[str, datetime] = field(default_factory=dict)


def run_round(results: Sequence[Result], work: Work, *, stopping: bool = False) -> Round:
    """Record results, take webhooks whose turn it is, and let tries start. `work` no longer has those that have ended.

    While `stopping`, nothing starts. Raises `Busy` and `DatabaseError`, and then nothing has changed.
    """
    now, load, busy = clock.now(), work.load(), work.busy()
    _note_slow(results, work, now)
    candidates = [] if stopping else _candidates(load, work, now)
    tried = {one.made.queue.webhook_id for one in results}
    ours = tried | (work.held.keys() - busy) | _called(work, now)
    if not ours and not candidates:
        return Round(held=work.held)
    done = Round(held={name: until for name, until in work.held.items() if name not in ours})
    with write_transaction():
        webhooks = _lock(ours, candidates, now)
        outstanding = _record(results, webhooks, now)
        # Those that have just had a turn come after the others.
        targets = _targets(sorted(webhooks.values(), key=lambda one: one.pk in tried), now)
        if not stopping:
            done.tries = _start(targets, webhooks, outstanding, work, load, now)
            done.behind = _behind(webhooks, outstanding, work, done.tries)
        busy |= {one.queue.webhook_id for one in done.tries} | {one.pk for one in done.behind}
        for name, webhook in webhooks.items():
            if webhook.is_enabled:
                if name in busy:
                    _keep(webhook, done, now)
                else:
                    _release(webhook, outstanding[name], targets, now, has_had_turn=name in tried)
    return done


def postpone_catching_up(webhook: Webhook) -> None:
    """Let a webhook that is behind wait, because its entries cannot be read now."""
    rows = Webhook.objects.filter(pk=webhook.pk, cursor_index=webhook.cursor_index, is_enabled=True)
    rows.update(due_at=clock.now() + UNREADABLE)


def _note_slow(results: Sequence[Result], work: Work, now: datetime) -> None:
    slow = {one.made.queue.webhook_id for one in results if one.outcome.duration_ms >= SLOW.total_seconds() * 1000}
    work.slow = {name: until for name, until in work.slow.items() if until > now} | dict.fromkeys(slow, now + SLOW_FOR)


def _candidates(load: Load, work: Work, now: datetime) -> list[str]:
    """Return the webhooks that are due, that no worker holds, and whose turn it is.

    Those of an organization with many of them do not keep others from being looked at.
    """
    due = Webhook.objects.filter(
        _is_due(now), is_enabled=True, organization__suspended_at=None, organization__deletes_at=None
    )
    place = Window(RowNumber(), partition_by="organization_id", order_by="due_at")
    columns = due.annotate(place=place).order_by("place", "due_at").values_list("pk", "organization_id")
    queues = [
        Queue(pk, organization_id, is_doubtful, [NOTHING], pk in work.slow)
        for is_doubtful, rows in ((False, columns.exclude(DOUBTFUL)), (True, columns.filter(DOUBTFUL)))
        if load.permits(Queue("", "", is_doubtful, []))
        for pk, organization_id in rows[:MAX_CANDIDATES]
    ]
    return [queue.webhook_id for queue, _ in take_turns(queues, load.copy())]


def _called(work: Work, now: datetime) -> set[str]:
    """Return the webhooks for which something new is due since they are held, or whose hold must be renewed."""
    if not work.held:
        return set()
    called = Webhook.objects.filter(pk__in=work.held, due_at__lte=now).values_list("pk", flat=True)
    return {*called, *(name for name, until in work.held.items() if until < now + RENEW_BEFORE)}


def _lock(ours: Collection[str], candidates: Iterable[str], now: datetime) -> dict[str, Webhook]:
    """Lock the webhooks that this worker still holds, and those candidates that it can take."""
    rows = Webhook.objects.select_related("organization").order_by("pk")
    held = rows.select_for_update(of=("self",)).filter(pk__in=ours, holder=holder())
    found = {one.pk: one for one in held}
    others = [name for name in candidates if name not in found]
    if others:
        free = rows.select_for_update(of=("self",), skip_locked=True)
        found |= {one.pk: one for one in free.filter(_is_due(now), pk__in=others, is_enabled=True)}
    return found


def _is_due(now: datetime) -> Q:
    free = Q(holder="") | Q(held_until=None) | Q(held_until__lte=now)
    # A hold from before the clock was set back would last for too long.
    return Q(free, due_at__lte=now) | Q(held_until__gt=now + 2 * HOLD)


def _record(
    results: Sequence[Result], webhooks: Mapping[str, Webhook], now: datetime
) -> Mapping[str, list[Outstanding]]:
    """Store the results of webhooks that are still held. Return what is outstanding of all of them, oldest first."""
    of_webhooks: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.made.queue.webhook_id in webhooks:
            of_webhooks[result.made.queue.webhook_id].append(result)
    before = _outstanding(of_webhooks) if of_webhooks else {}
    for name, ended in of_webhooks.items():
        _record_of(webhooks[name], ended, before[name], now)
    return _outstanding(webhooks)


def _record_of(webhook: Webhook, results: Sequence[Result], outstanding: Sequence[Outstanding], now: datetime) -> None:
    current = {(one.id, one.attempt): one for one in outstanding}
    missing, reason = {one.id: one.number for one in outstanding}, ""
    for made, outcome in results:
        one = current.get((made.delivery.id, made.delivery.attempt))
        if one is None:  # it is sent again from its first try on
            continue
        due_at = _store(one, outcome, now)
        if outcome.is_accepted:
            _accepted(webhook, outstanding, now)
            del missing[one.id]
        elif outcome.is_made:
            webhook.failing_since = webhook.failing_since or made.at
            is_last = due_at is None and one is outstanding[0] and _accepted_nothing_since(webhook, one)
            reason = Disabled.GONE if outcome.status == GONE else (Disabled.FAILING if is_last else reason)
    if reason:
        switch_off(webhook, reason, now, first=min(missing.values()))


def _store(one: Outstanding, outcome: Outcome, now: datetime) -> datetime | None:
    """Store what became of a try. Return when the next one is due, or None for no further one."""
    rows = Delivery.objects.filter(pk=one.id)
    if outcome.postponed is not None:
        return _put_back(rows, one, now + outcome.postponed)
    due_at = None
    if outcome.is_made and not outcome.is_accepted:
        due_at = next_try(one.attempt, now, retry_after=outcome.retry_after, share=random.random())  # noqa: S311
    ended = Status.DELIVERED if outcome.is_accepted else Status.FAILED
    rows.update(
        status=Status.RETRYING if due_at else ended,
        due_at=due_at,
        duration_ms=outcome.duration_ms,
        response_status=outcome.status,
        response_body=outcome.body,
        error=outcome.error,
    )
    return due_at


def _put_back(rows: QuerySet[Delivery], one: Outstanding, due_at: datetime) -> datetime:
    """Undo the count of a try that was not made."""
    is_first = {"first_tried_at": None, "tried_at": None} if one.attempt == 1 else {}
    rows.update(attempt=one.attempt - 1, due_at=due_at, **is_first)
    return due_at


def _accepted(webhook: Webhook, outstanding: Sequence[Outstanding], now: datetime) -> None:
    if is_blocked(outstanding) and _accepted_nothing_since(webhook, outstanding[0]):
        # The receiver works again. What has piled up meanwhile need not wait for its own time.
        Delivery.objects.filter(webhook=webhook, due_at__gt=now).update(due_at=now)
    webhook.delivered_at, webhook.failing_since = now, None


def _accepted_nothing_since(webhook: Webhook, one: Outstanding) -> bool:
    """Return whether the receiver has accepted nothing since the first try of this event."""
    first, last = one.first_tried_at, webhook.delivered_at
    return first is not None and (last is None or last < first)


def _outstanding(webhook_ids: Collection[str]) -> Mapping[str, list[Outstanding]]:
    rows = Delivery.objects.filter(webhook__in=list(webhook_ids)).exclude(due_at=None)
    found: dict[str, list[Outstanding]] = defaultdict(list)
    for row in rows.order_by("webhook", "leaf_index").values_list(*COLUMNS):
        found[row[1]].append(Outstanding(*row))
    return found


def _start(
    targets: Mapping[str, Target],
    webhooks: Mapping[str, Webhook],
    outstanding: Mapping[str, list[Outstanding]],
    work: Work,
    load: Load,
    now: datetime,
) -> list[Try]:
    """Let tries start, and count them."""
    queues = [
        Queue(
            name,
            target.organization_id,
            webhooks[name].delivered_at is None or webhooks[name].failing_since is not None,
            due_now(outstanding[name], now, work.tries),
            name in work.slow,
        )
        for name, target in targets.items()
    ]
    started = [
        Try(one._replace(attempt=one.attempt + 1), targets[queue.webhook_id], queue, now, several[0].id)
        for queue, several in trips(take_turns(queues, load))
        for one in several
    ]
    if started:
        Delivery.objects.filter(pk__in=[one.delivery.id for one in started]).update(
            attempt=F("attempt") + 1, tried_at=now, first_tried_at=Coalesce("first_tried_at", now)
        )
    return started


def _targets(webhooks: Iterable[Webhook], now: datetime) -> dict[str, Target]:
    return {webhook.pk: target for webhook in webhooks if (target := _target(webhook, now))}


def _target(webhook: Webhook, now: datetime) -> Target | None:
    """Return where to send, or None if nothing may be sent now."""
    organization = webhook.organization
    if not webhook.is_enabled or organization.suspended_at or organization.deletes_at:
        return None
    try:
        secrets = signing_secrets(webhook, now)
    except SealBroken:
        logger.critical("The secret of %s was sealed with another JWT_SECRET, so nothing is sent to it.", webhook.pk)
        return None
    return Target(webhook.pk, organization.pk, webhook.url, secrets)


def _behind(
    webhooks: Mapping[str, Webhook], outstanding: Mapping[str, list[Outstanding]], work: Work, tries: Sequence[Try]
) -> list[Webhook]:
    """Return the webhooks for which more is queued now, at most one of an organization."""
    started = {one.queue.webhook_id for one in tries} | work.busy()
    found: dict[str, Webhook] = {}
    for name, webhook in webhooks.items():
        enough = ENOUGH if name in started else MAX_OUTSTANDING
        if _is_behind(webhook) and len(outstanding[name]) < enough and name not in work.catching_up:
            found.setdefault(webhook.organization_id, webhook)
    return list(found.values())[: MAX_CATCHING_UP - len(work.catching_up)]


def _is_behind(webhook: Webhook) -> bool:
    return webhook.is_enabled and webhook.cursor_index is not None


def _keep(webhook: Webhook, done: Round, now: datetime) -> None:
    """Hold the webhook. Its `due_at` is then when the hold ends, unless something calls this worker before."""
    done.held[webhook.pk] = webhook.held_until = webhook.due_at = now + HOLD
    _save(webhook, holder())


def _release(
    webhook: Webhook, outstanding: Sequence[Outstanding], targets: Collection[str], now: datetime, *, has_had_turn: bool
) -> None:
    webhook.held_until, webhook.due_at = None, next_due(outstanding)
    if webhook.due_at and has_had_turn:  # its next turn is after that of those that wait already
        webhook.due_at = max(webhook.due_at, now)
    if _is_behind(webhook) and len(outstanding) < MAX_OUTSTANDING:
        webhook.due_at = min(webhook.due_at or now + SOON, now + SOON)
    if webhook.due_at and webhook.pk not in targets:
        webhook.due_at = max(webhook.due_at, now + UNREADABLE)
    _save(webhook, "")


def _save(webhook: Webhook, name: str) -> None:
    webhook.holder = name
    webhook.save(update_fields=["holder", "held_until", "due_at", "delivered_at", "failing_since"])
