"""Methods written once that block in one class and are awaited in its twin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from ._base import Awaits, Blocks
from ._effects import Flow
from .models import Page

P = ParamSpec("P")
T = TypeVar("T")
# The most that one page may hold.
_PAGE_SIZE = 200

FetchPage = Callable[[str | None], Flow[Page[T]]]


class endpoint(Generic[P, T]):
    """Make a method that returns a flow callable: `f(...)` in one twin, `await f(...)` in the other."""

    def __init__(self, method: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: Blocks, owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: Awaits, owner: Any) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, instance: None, owner: Any) -> endpoint[P, T]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self

        # Bound as functools.partial would do it, but keeping no argument in a frame that a traceback shows.
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            flow = self.method(instance, *args, **kwargs)
            del args, kwargs
            return instance._driver.run(flow)

        return update_wrapper(bound, self.method)


class paged(Generic[P, T]):
    """Make an endpoint for one page iterate over the items of all pages. It takes the same arguments."""

    def __init__(self, list_endpoint: endpoint[P, Page[T]]) -> None:
        self._fetch = list_endpoint.method
        self.__doc__ = "Iterate over every page of it. " + (list_endpoint.__doc__ or "")

    @overload
    def __get__(self, instance: Blocks, owner: Any) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: Awaits, owner: Any) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, instance: None, owner: Any) -> paged[P, T]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        iterate = _iterate if isinstance(instance, Blocks) else _aiterate

        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return iterate(instance._driver, partial(self._page, instance, args, kwargs))

        return bound

    def _page(self, instance: Any, args: Any, kwargs: Any, cursor: str | None) -> Flow[Page[T]]:
        return self._fetch(instance, *args, **{"limit": _PAGE_SIZE, **kwargs, "cursor": cursor})


def _iterate(driver: Any, fetch: FetchPage[T]) -> Iterator[T]:
    page: Page[T] = driver.run(fetch(None))
    yield from page.items
    while page.next_cursor is not None:
        page = driver.run(fetch(page.next_cursor))
        yield from page.items


async def _aiterate(driver: Any, fetch: FetchPage[T]) -> AsyncIterator[T]:
    cursor: str | None = None
    while True:
        page: Page[T] = await driver.run(fetch(cursor))
        for item in page.items:
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return
