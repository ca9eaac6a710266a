from django.apps import AppConfig
from django.db.backends.signals import connection_created

from audit.database.triggers import add_sqlite_functions


class AuditConfig(AppConfig):
    name = "audit"

    def ready(self) -> None:
        connection_created.connect(add_sqlite_functions, dispatch_uid="audit")
