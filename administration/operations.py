"""What the server does in the background."""

from django.contrib import admin
from django.utils.translation import gettext_lazy

from administration.base import ReadOnlyAdmin
from administration.lists import TEXT
from core.models import TaskRun


@admin.register(TaskRun)
class TaskRunAdmin(ReadOnlyAdmin):
    """The last run of each background task."""

    list_display = ["name", "started_at", "seconds", "result", "error"]
    searches = {TEXT: "name"}
    searched_text = gettext_lazy("task")
    ordering = ["name"]
    fields = ["name", "started_at", "seconds", "result", "error", "failed_at"]
    actions = None
