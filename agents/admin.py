from django.contrib import admin


class AgentAdmin(admin.ModelAdmin):
    pass
