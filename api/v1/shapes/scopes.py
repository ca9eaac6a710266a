"""Scopes in plain words."""

from rest_framework import serializers

from resources.models import RISK_LEVELS


class Scope(serializers.Serializer):
    """One permission. `description` says what it can do, `cannot` what it cannot."""

    id = serializers.CharField()
    category = serializers.CharField()
    riskLevel = serializers.ChoiceField(choices=RISK_LEVELS, source="risk_level")
    title = serializers.CharField()
    description = serializers.CharField()
    cannot = serializers.CharField()


class ScopeList(serializers.Serializer):
    items = Scope(many=True)
