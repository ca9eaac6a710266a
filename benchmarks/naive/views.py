"""The naive reference: verify as a good Django developer would first write it.

It has a serializer, ORM queries for the live facts, a counter in the database under a row lock, one inserted log entry,
and one transaction per request, on the product's own schema, tokens and policies. It does less than the product: its
counter is a fixed window instead of a sliding one, a revocation can overtake it, and the entry has no digest.
"""

from typing import Any

from django.db import transaction
from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.authentication import BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.naive.decisions import decide, record
from core.rotation import find_live_secret
from resources.models import ResourceServer, ResourceServerSecret


class ResourceServerAuthentication(BasicAuthentication):
    """HTTP Basic with the id and a secret of a resource server."""

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> tuple[ResourceServer, None]:
        rows = ResourceServerSecret.objects.select_related("resource_server__organization")
        secret = find_live_secret(rows.filter(resource_server_id=userid), password, timezone.now())
        if secret is None:
            raise AuthenticationFailed
        return secret.resource_server, None


class IsResourceServer(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, ResourceServer)


class QuestionSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=8192)
    requiredScopes = serializers.ListField(child=serializers.CharField(max_length=100), min_length=1)  # noqa: N815
    action = serializers.CharField(max_length=200, required=False)
    resource = serializers.CharField(max_length=2000, required=False)
    context = serializers.DictField(required=False, default=dict)


class Verify(APIView):
    authentication_classes = [ResourceServerAuthentication]
    permission_classes = [IsResourceServer]

    def post(self, request: Request) -> Response:
        serializer = QuestionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            decision = decide(serializer.validated_data, request.user)
            entry_id = record(decision, serializer.validated_data, request)
        return Response({**decision.shown(), "auditId": entry_id})


urlpatterns = [path("api/v1/tokens/verify", Verify.as_view())]
