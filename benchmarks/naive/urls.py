from django.urls import path

from benchmarks.naive.views import Verify

urlpatterns = [path("api/v1/tokens/verify", Verify.as_view())]
