from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"

    def ready(self) -> None:
        from approvals import endings, erasure, mails, notices  # noqa: F401  connect receivers, register emails
