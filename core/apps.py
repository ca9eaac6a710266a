from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        from core import task_runs  # imports models
        from core.catalogs import load_catalogs

        task_runs.listen()
        load_catalogs()
