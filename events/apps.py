from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"

    def ready(self) -> None:
        # Register emails and what an account has made, and connect receivers.
        from events import endings, issued, mails  # noqa: F401
