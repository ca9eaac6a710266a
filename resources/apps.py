from django.apps import AppConfig


class ResourcesConfig(AppConfig):
    name = "resources"

    def ready(self) -> None:
        """Connect the receiver, and read the catalogue: an unfit file stops the start. Raises `CatalogueError`."""
        from resources import reclaim  # noqa: F401  connects its receiver
        from resources.catalogue import catalogue

        catalogue()
