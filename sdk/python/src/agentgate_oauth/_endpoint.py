"""Methods that are written once, and block in one class and are awaited in another.

Each one becomes two ordinary functions, so that `help()`, `inspect.signature` and type checkers show their
parameters and results.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial, update_wrapper
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from ._base import AsyncMethods, BlockingMethods
from ._effects import Flow
from .models import Page

P = ParamSpec("P")
T = TypeVar("T")
# The API's maximum.
_PAGE_SIZE = 200

FetchPage = Callable[[str | None], Flow[Page[T]]]


class endpoint(Generic[P, T]):
    """Makes a method that returns a flow callable: `f(...)` in blocking classes, `await f(...)` in others."""

    def __init__(self, method: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        # Both delete their arguments before they run the flow, because a traceback may print variables.
        def blocking(api: Any, *args: P.args, **kwargs: P.kwargs) -> T:
            flow = method(api, *args, **kwargs)
            del args, kwargs
            result: T = api._driver.run(flow)
            return result

        async def awaited(api: Any, *args: P.args, **kwargs: P.kwargs) -> T:
            flow = method(api, *args, **kwargs)
            del args, kwargs
            result: T = await api._driver.run(flow)
            return result

        self.method = method
        answer = _answer(method)
        self._blocking = _documented(blocking, method, answer.replace("SessionT", "Session"))
        self._awaited = _documented(awaited, method, answer.replace("SessionT", "AsyncSession"))

    @overload
    def __get__(self, instance: BlockingMethods, owner: Any) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: AsyncMethods, owner: Any) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, instance: None, owner: Any) -> Callable[Concatenate[Any, P], Any]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return _bound(self._awaited if issubclass(owner, AsyncMethods) else self._blocking, instance)


class paged(Generic[P, T]):
    """Turn an endpoint that returns one page into an iterator over all pages, with the same arguments."""

    def __init__(self, list_endpoint: endpoint[P, Page[T]]) -> None:
        method = list_endpoint.method

        def fetch(api: Any, args: Any, kwargs: Any, cursor: str | None) -> Flow[Page[T]]:
            return method(api, *args, **{"limit": _PAGE_SIZE, **kwargs, "cursor": cursor})

        def blocking(api: Any, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return _iterate(api._driver, partial(fetch, api, args, kwargs))

        def awaited(api: Any, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            return _aiterate(api._driver, partial(fetch, api, args, kwargs))

        item = _answer(method).removeprefix("Page[").removesuffix("]")
        text = "Iterate over the items of every page. " + (method.__doc__ or "")
        self._blocking = _documented(blocking, method, f"Iterator[{item}]", text)
        self._awaited = _documented(awaited, method, f"AsyncIterator[{item}]", text)

    @overload
    def __get__(self, instance: BlockingMethods, owner: Any) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: AsyncMethods, owner: Any) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, instance: None, owner: Any) -> Callable[Concatenate[Any, P], Any]: ...
    def __get__(self, instance: Any, owner: Any) -> Any:
        return _bound(self._awaited if issubclass(owner, AsyncMethods) else self._blocking, instance)


def _bound(function: Any, instance: Any) -> Any:
    return function if instance is None else MethodType(function, instance)


def _answer(method: Callable[..., Any]) -> str:
    """Return the annotation of the flow's result, for example "Decision"."""
    return str(method.__annotations__["return"]).removeprefix("Flow[").removesuffix("]")


def _documented(function: Any, method: Callable[..., Any], answer: str, text: str | None = None) -> Any:
    """Return the function with the name, docstring and signature of the method that it replaces."""
    update_wrapper(function, method)
    function.__signature__ = inspect.signature(method).replace(return_annotation=answer)
    function.__doc__ = text or method.__doc__
    return function


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
