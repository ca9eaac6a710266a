"""A user's live sessions, of browsers and of the API, in one list."""

from dataclasses import dataclass
from datetime import UTC, datetime

from accounts.models import BrowserSession, SessionToken, User
from accounts.selectors import browser_session_id, sessions_for_user
from core import clock
from core.user_agents import COMPUTER, PHONE, PROGRAM, device_in_words, kind_of_device

# The most sessions of each kind that are read. Users with more can end all of them at once.
MAX_READ = 500
PICTURES = {COMPUTER: "laptop", PHONE: "phone", PROGRAM: "code"}
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session, described for its user to recognize, without a browser's key. Unknown values are empty or None."""

    id: str
    is_browser: bool
    is_current: bool
    user_agent: str
    ip: str
    started_at: datetime | None
    seen_at: datetime | None
    expires_at: datetime

    @property
    def device(self) -> str:
        """Return the browser or program that the session reports, or an empty string."""
        return device_in_words(self.user_agent)

    @property
    def is_recognized(self) -> bool:
        """Return whether `device` names a well-known browser and operating system."""
        return kind_of_device(self.user_agent) != PROGRAM

    @property
    def picture(self) -> str:
        """Return the name of the icon for its kind of device."""
        return PICTURES[kind_of_device(self.user_agent)]


def live_sessions(user: User, *, current_key: str | None) -> list[LiveSession]:
    """Return the user's sessions: first the browser session with this key, then the others by their last use."""
    browsers = BrowserSession.objects.filter(user_id=user.id, expire_date__gt=clock.now()).order_by("-expire_date")
    found = [_of_browser(row, current_key) for row in browsers[:MAX_READ]]
    found += [_of_api(row) for row in sessions_for_user(user)[:MAX_READ]]
    return sorted(found, key=lambda one: (one.is_current, one.seen_at or one.started_at or LONG_AGO), reverse=True)


def _of_browser(row: BrowserSession, current_key: str | None) -> LiveSession:
    return LiveSession(
        id=browser_session_id(row.session_key),
        is_browser=True,
        is_current=row.session_key == current_key,
        user_agent=row.user_agent,
        ip=row.ip,
        started_at=row.started_at,
        seen_at=row.seen_at,
        expires_at=row.expire_date,
    )


def _of_api(row: SessionToken) -> LiveSession:
    return LiveSession(
        id=row.id,
        is_browser=False,
        is_current=False,
        user_agent=row.user_agent,
        ip=row.ip,
        started_at=row.created_at,
        seen_at=row.seen_at or row.created_at,
        expires_at=row.expires_at,
    )
