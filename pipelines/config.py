"""Strict reading of `params.yaml`: a section becomes a frozen dataclass, or one clear error.

Unknown keys, missing keys and wrong types are refused with the key's full path. Used by every
package right of here too, so that all sections of the file are read by one rule. It knows no
section of its own.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from simulators.suggest import unknown_name

T = TypeVar("T")

SECTIONS = ("benchmark", "corpora", "models", "runs", "studies", "tasks")
"""Top-level keys of `params.yaml`."""


class ConfigError(ValueError):
    """A configuration file or value that cannot be used; the message names the key."""


def load_params(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping of known sections.

    Raises:
        ConfigError: the file is missing, is not YAML, is not a mapping, or has another section.
    """
    try:
        loaded: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; pass --params FILE") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: not readable as YAML: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: the top level must be a mapping, not {type(loaded).__name__}")
    params = cast("dict[str, Any]", loaded)
    for name in params:
        if name not in SECTIONS:
            raise ConfigError(f"{path}: {unknown_name('section', str(name), SECTIONS)}")
    return params


def section(params: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the mapping below `keys`.

    Raises:
        ConfigError: a key is missing or its value is not a mapping.
    """
    found: Mapping[str, Any] = params
    for depth, key in enumerate(keys):
        where = ".".join(keys[: depth + 1])
        if key not in found:
            raise ConfigError(f"{where}: {unknown_name('key', key, found)}")
        value: object = found[key]
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected a mapping, found {value!r}")
        found = cast("Mapping[str, Any]", value)
    return found


def parse(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build dataclass `cls` from `values`; nested dataclasses are read in the same way.

    `where` is the section's path, for messages. Integers are accepted for float fields, lists for
    tuple fields.

    Raises:
        ConfigError: an unknown or missing key, a value of another type, or one that the class's
            own check refuses.
    """
    fields = {f.name: f for f in dataclasses.fields(cast("Any", cls)) if f.init}
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise ConfigError(f"{where}.{key}: {unknown_name('key', str(key), fields)}")
    parsed: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            parsed[name] = _convert(values[name], hints[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}.{name}: missing; it is required")
    try:
        return cls(**parsed)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Return `value` as type `hint`, or raise with the key's path."""
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(value, typing.get_args(hint), where)
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(hint)[0]
        items = cast("list[Any]", value)
        return tuple(_convert(item, inner, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is dict and isinstance(value, dict):
        inner = typing.get_args(hint)[1]
        pairs = cast("dict[object, Any]", value)
        return {str(k): _convert(v, inner, f"{where}.{k}") for k, v in pairs.items()}
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise ConfigError(f"{where}: {unknown_name('value', str(value), map(str, choices))}")
        return value
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return parse(cast("type[Any]", hint), cast("Mapping[str, Any]", value), where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        raise ConfigError(f"{where}: expected int, found {value!r}")
    if isinstance(hint, type) and isinstance(value, hint):
        return value
    name = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"{where}: expected {name}, found {value!r}")


def _convert_union(value: Any, options: tuple[Any, ...], where: str) -> Any:
    """Return `value` as the first option that takes it."""
    if value is None and type(None) in options:
        return None
    kept = [option for option in options if option is not type(None)]
    if len(kept) == 1:
        return _convert(value, kept[0], where)
    for option in kept:
        try:
            return _convert(value, option, where)
        except ConfigError:
            continue
    names = ", ".join(getattr(option, "__name__", str(option)) for option in kept)
    raise ConfigError(f"{where}: expected one of {names}, found {value!r}")
