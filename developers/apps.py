from django.apps import AppConfig


class DevelopersConfig(AppConfig):
    name = "developers"

    def ready(self) -> None:
        # Register emails, and connect receivers: first those that lock organizations.
        from developers import (  # noqa: F401
            credential_mails,
            domain_mails,
            erasure,
            invitation_mails,
            member_mails,
            stop_mails,
            succession,
        )
