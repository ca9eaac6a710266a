"""The documentation and the API reference."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from web.public.docs import pages, reference
from web.public.docs.markdown import Document
from web.public.docs.search import MAX_QUERY, search


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the index, or the results of `?q=`."""
    if "q" not in request.GET:
        return _show(request, pages.page(""))
    query = " ".join(request.GET["q"][:MAX_QUERY].split())
    results, count = search(query)
    return render(request, "web/public/docs/search.html", {"query": query, "results": results, "count": count})


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    return _show(request, pages.page(name))


@require_safe
def security(request: HttpRequest) -> HttpResponse:
    return redirect("web:docs-page", "security-policy")


@require_safe
def api_reference(request: HttpRequest) -> HttpResponse:
    return _show(request, reference.listing())


@require_safe
def operation(request: HttpRequest, operation_id: str) -> HttpResponse:
    return _show(request, reference.operation(operation_id))


def _show(request: HttpRequest, document: Document | None) -> HttpResponse:
    if document is None:
        raise Http404
    return render(request, "web/public/docs/page.html", {"document": document})
