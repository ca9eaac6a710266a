"""The documentation and the API reference."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from web.public.docs import reference as api
from web.public.docs.example import curl
from web.public.docs.pages import REFERENCE, library
from web.public.docs.search import MAX_QUERY, search


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show all pages, or the results of `?q=`."""
    query = " ".join(request.GET.get("q", "")[:MAX_QUERY].split())
    if query:
        return render(request, "web/public/docs/search.html", {"query": query, "results": search(query)})
    return render(
        request, "web/public/docs/index.html", {"groups": library().groups, "is_empty_search": "q" in request.GET}
    )


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    return _show(request, name)


@require_safe
def decision(request: HttpRequest, number: str) -> HttpResponse:
    return _show(request, f"adr/{number:0>4}")


@require_safe
def security(request: HttpRequest) -> HttpResponse:
    return redirect("web:docs-page", "security-policy")


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """List all operations by tag."""
    return render(request, "web/public/docs/reference.html", {"introduction": api.introduction(), "tags": api.by_tag()})


@require_safe
def operation(request: HttpRequest, operation_id: str) -> HttpResponse:
    found = api.operations().get(operation_id)
    if found is None:
        raise Http404
    context = {
        "operation": found,
        "callers": api.callers(found),
        "credentials": api.credentials(found),
        "siblings": dict(api.by_tag())[found.tag],
        "example": curl(found),
    }
    return render(request, "web/public/docs/operation.html", context)


def _show(request: HttpRequest, name: str) -> HttpResponse:
    shelf = library()
    found = shelf.pages.get(name)
    if found is None or found.path == REFERENCE:
        raise Http404
    before, after = shelf.neighbours(found)
    context = {"entry": found, "document": found.document(), "before": before, "after": after}
    return render(request, "web/public/docs/page.html", context)
