from django.apps import AppConfig


class DevelopersConfig(AppConfig):
    name = "developers"

    def ready(self) -> None:
        # Register emails, connect receivers.
        from developers import credential_mails, domain_mails, erasure, member_mails, stop_mails, succession  # noqa: F401
