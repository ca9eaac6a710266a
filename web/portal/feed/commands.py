"""Commands that read the feed, ready to copy. The templates are in `templates/web/portal/feed/`."""

from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Command:
    """A command. `name` is that of its template."""

    name: str
    title: Promise
    words: Promise

    @property
    def text(self) -> str:
        return self.text_after(42)

    def text_after(self, number: int) -> str:
        """Return the command for a reader whose last event has this number."""
        return render_to_string(f"web/portal/feed/{self.name}.txt", {"after": number}).strip()


HTTP = (
    Command(
        "page",
        _("One page"),
        _("At most 200 events after a number, and in “next” the number to go on after."),
    ),
    Command(
        "wait",
        _("Wait for new events"),
        _("Answers when there is one, or after 30 seconds with none. Ask again after “next”."),
    ),
    Command(
        "stream",
        _("As server-sent events"),
        _(
            "For clients that reconnect by themselves. The answer ends after what there is, or after 30 seconds with "
            "nothing, and the client goes on after its Last-Event-ID."
        ),
    ),
)
SHIPPERS = (
    Command(
        "file",
        _("Into a file"),
        _(
            "JSON Lines, one event per line, which log shippers read. Started again, the command goes on after the "
            "last event."
        ),
    ),
    Command("syslog", _("To syslog"), _("One message per event, up to 64 KB long.")),
    Command(
        "splunk",
        _("To Splunk"),
        _(
            "Through its HTTP Event Collector. Set SPLUNK_URL, such as https://splunk.example.com:8088, and "
            "SPLUNK_TOKEN, the token of the collector. The loop ends if it accepts no more: go on with --after and the "
            "number of the last event that arrived."
        ),
    ),
)
