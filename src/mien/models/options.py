"""Options of parts: checked by name and type against the constructor's signature, never passed blind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from mien.core.errors import RecipeError, did_you_mean

T = TypeVar("T")


def call_with_options(
    build: Callable[..., T],
    options: Mapping[str, object] | None,
    *,
    owner: str,
    given: Mapping[str, object] | None = None,
) -> T:
    """Call `build` with checked options.

    Args:
        build: A class or function; its parameters with a default are its options.
        options: Values by name, as a recipe has them; lists become tuples.
        owner: What the options belong to, for the error: "network 'resnet18'".
        given: Further keyword arguments that are set by the caller and so are no options.

    Raises:
        RecipeError: An option is unknown, has the wrong type, or `build` refuses its value with a
            `ValueError`.
    """
    given = given or {}
    checked = check_options(build, options or {}, owner=owner, taken=given)
    try:
        return build(**given, **checked)
    except ValueError as error:
        raise RecipeError(f"Options of {owner}: {error}") from None


def check_options(
    build: Callable[..., object], options: Mapping[str, object], *, owner: str, taken: Collection[str] = ()
) -> dict[str, object]:
    """Return the options with lists as tuples, all known to `build` and of the annotated types.

    Raises:
        RecipeError: An option is unknown or has the wrong type.
    """
    parameters = _options_of(build, taken)
    checked = {}
    for name, value in options.items():
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise RecipeError(f"No option '{name}' of {owner}.{did_you_mean(name, parameters)} Options: {known}.")
        annotation = parameters[name].annotation
        checked[name] = _tupled(value)
        if not _fits(checked[name], annotation):
            raise RecipeError(f"Option '{name}' of {owner} is {value!r}; expected {_spelled(annotation)}.")
    return checked


def _options_of(build: Callable[..., object], taken: Collection[str]) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(build, eval_str=True)
    except NameError:  # a library's annotation that exists for type checkers only
        signature = inspect.signature(build)
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in named and parameter.default is not parameter.empty and name not in taken
    }


def _tupled(value: object) -> object:
    return tuple(_tupled(item) for item in value) if isinstance(value, list | tuple) else value


def _fits(value: object, annotation: Any) -> bool:
    """Tell whether a value has an annotated type; annotations beyond the simple types accept everything."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and _items_fit(value, arguments)
    if annotation in (int, float):  # bool is an int to Python, never to a recipe
        kinds = (int, float) if annotation is float else (int,)
        return isinstance(value, kinds) and not isinstance(value, bool)
    if annotation in (bool, str, NoneType):
        return isinstance(value, annotation)
    return True


def _items_fit(items: tuple[object, ...], arguments: tuple[Any, ...]) -> bool:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return all(_fits(item, arguments[0]) for item in items)
    return len(items) == len(arguments) and all(map(_fits, items, arguments))


def _spelled(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(repr(value) for value in get_args(annotation))
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
