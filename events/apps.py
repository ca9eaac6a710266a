from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"

    def ready(self) -> None:
        # Register emails, and connect receivers.
        from events import endings, mails  # noqa: F401
