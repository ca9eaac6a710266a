from django.contrib import admin


class AuthorizationCodeAdmin(admin.ModelAdmin):
    pass


class AccessTokenAdmin(admin.ModelAdmin):
    pass


class RefreshTokenAdmin(admin.ModelAdmin):
    pass
