"""Reads the words of a command line that need no validator as they are.

Typer has every parameter read by pydantic, which takes longer to load than a small capture takes
to replay. Texts, paths, members of an enumeration, lists of these and what was not given at all
need no such help; whatever else is written, a wrong word among it, still goes Typer's own way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["read_plainly"]

_NO_WISHES: Final[Mapping[str, object]] = MappingProxyType(
    {
        "parser": None,
        "exists": False,
        "file_okay": True,
        "dir_okay": True,
        "writable": False,
        "readable": True,
        "resolve_path": False,
        "allow_dash": False,
        "path_type": None,
        "min": None,
        "max": None,
    }
)
"""What an option has that says nothing of its values; one that does is Typer's to read."""


def read_plainly(command: Any, parent: typer.Context | None = None) -> None:
    """Have the parameters of a Typer command, and of every command below it, read without pydantic."""
    if not isinstance(command, TyperGroup | TyperCommand):
        return
    # With a context --help is among them, which Typer adds by itself.
    context = typer.Context(command, parent=parent, **command.context_settings)
    for parameter in command.get_params(context):
        if _is_plain(parameter):
            parameter.get_runtime_param = _Reader(parameter)  # type: ignore[attr-defined]
    if isinstance(command, TyperGroup):
        for below in command.commands.values():
            read_plainly(below, context)


def _is_plain(parameter: Any) -> bool:
    """Whether any value of its type will do; False, too, where another Typer is built in another way."""
    wishes = getattr(getattr(parameter, "type_descriptor", None), "parameter_info", None)
    return callable(getattr(parameter, "get_runtime_param", None)) and all(
        getattr(wishes, name, missing) == missing for name, missing in _NO_WISHES.items()
    )


class _Reader:
    """Stands in for what Typer reads a parameter with; it is called for itself, as Typer calls for that."""

    def __init__(self, parameter: Any) -> None:
        self._typers_own = parameter.get_runtime_param
        self._kind = parameter.type_descriptor.annotation

    def __call__(self) -> _Reader:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """`value` as the command wants it, in the way of Typer's `RuntimeParam`."""
        read = _plain(self._kind, value)
        if read is None and value is not None:
            return self._typers_own().coerce(value, param=param, ctx=ctx)
        if read is None and (param.multiple or param.nargs == -1):
            return ()
        return read


def _plain(kind: Any, value: Any) -> Any:
    """`value` as a `kind`, where that takes no judging; else None."""
    if get_origin(kind) is list and isinstance(value, list | tuple):
        (item,) = get_args(kind)
        items = [_plain(item, part) for part in value]
        return None if None in items else items
    if not isinstance(kind, type):
        return None
    if kind in {str, int, bool} and type(value) is kind:
        return value
    if issubclass(kind, Enum):
        return next((member for member in kind if value in {member, member.value}), None)
    if kind is Path and isinstance(value, str) and "\0" not in value:
        # What is there has to be readable: that is for Typer to say.
        return Path(value) if os.access(value, os.R_OK) or not os.path.lexists(value) else None
    return None
