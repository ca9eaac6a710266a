from django.apps import AppConfig


class ResourcesConfig(AppConfig):
    name = "resources"

    def ready(self) -> None:
        """Connect the receivers and load the catalogue. Raises `CatalogueError`, so an invalid file stops the start."""
        from resources import endings, reclaim, takeovers  # noqa: F401  connect their receivers
        from resources.actions import action_titles, catalogue_actions

        catalogue_actions()
        action_titles()
