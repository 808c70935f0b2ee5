"""Options of parts, checked by name and type against the constructor's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
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
        options: Values by name, as in a recipe; lists become tuples.
        owner: What the options belong to, for the error: "network 'resnet18'".
        given: Keyword arguments that the caller sets, so that they are not options.

    Raises:
        RecipeError: An option is unknown or has the wrong type, or `build` rejects its value by a `ValueError`.
    """
    given = given or {}
    known = {name: annotation for name, annotation in _options_of(build).items() if name not in given}
    checked = {}
    for name, value in (options or {}).items():
        if name not in known:
            raise RecipeError(
                f"No option '{name}' of {owner}.{did_you_mean(name, known)} Options: {', '.join(known) or 'none'}."
            )
        checked[name] = _to_tuple(value)
        if not _fits(checked[name], known[name]):
            raise RecipeError(f"Option '{name}' of {owner} is {value!r}; expected {_describe(known[name])}.")
    try:
        return build(**given, **checked)
    except ValueError as error:
        raise RecipeError(f"Options of {owner}: {error}") from None


def _options_of(build: Callable[..., object]) -> dict[str, Any]:
    """Return the annotations of the named parameters that have a default."""
    try:
        signature = inspect.signature(build, eval_str=True)
    except NameError:  # a library's annotation that exists for type checkers only
        signature = inspect.signature(build)
    return {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is not parameter.empty
    }


def _to_tuple(value: object) -> object:
    return tuple(_to_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def _fits(value: object, annotation: Any) -> bool:
    """Return whether a value has an annotated type; an annotation that is not a simple type accepts everything."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        items = value if isinstance(value, tuple) else ()
        expected = arguments[:1] * len(items) if arguments[1:] == (Ellipsis,) else arguments
        return items is value and len(items) == len(expected) and all(map(_fits, items, expected))
    if annotation in (int, float):  # Python counts bool as int, recipes do not
        return isinstance(value, (int, annotation)) and not isinstance(value, bool)
    if annotation in (bool, str, NoneType):
        return isinstance(value, annotation)
    return True


def _describe(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(repr(value) for value in get_args(annotation))
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
