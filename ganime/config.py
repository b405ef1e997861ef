"""Settings: frozen pydantic models, loaded from TOML files and `--set a.b=c` pairs."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ganime.errors import ConfigError


class Config(BaseModel):
    """Base of every settings class: frozen, refuses unknown keys, has a stable digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def canonical(self) -> str:
        """The settings as JSON with sorted keys: equal settings give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of `canonical()`."""
        return digest_of(self.canonical())

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> Self:
        """Build from nested settings.

        Raises:
            ConfigError: a key is unknown or a value is out of range; names the field.
        """
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise ConfigError(explain(error, cls)) from error


def digest_of(*parts: str) -> str:
    """First 12 hex digits of the SHA-256 of the parts, joined unambiguously."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:12]


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: the file is missing or is not TOML; names the file and the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def overlay(base: Mapping[str, Any], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested settings, later ones winning; the arguments stay as they were.

    Raises:
        ConfigError: what an earlier layer says in one value, a later one says by its parts.
    """
    merged = dict(base)
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if isinstance(old, Mapping) and isinstance(value, Mapping):
                value = overlay(old, value)
            elif old is not None and isinstance(value, Mapping):
                parts = ", ".join(f"{key}.{part}" for part in value)
                raise ConfigError(
                    f"{key} is given as {old!r}, and also by its parts ({parts}): say either"
                )
            merged[key] = value
    return merged


def parse_sets(pairs: Iterable[str]) -> dict[str, Any]:
    """Turn `a.b=c` pairs into nested settings; a value is read as TOML, else as a string.

    Raises:
        ConfigError: a pair has no `=` or no key.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        path, separator, text = pair.partition("=")
        keys = path.strip().split(".")
        if not separator or not all(keys):
            raise ConfigError(f"--set {pair!r}: wanted KEY=VALUE, for example pad.size=128")
        nested: Any = _value(text)
        for key in reversed(keys):
            nested = {key: nested}
        settings = overlay(settings, nested)
    return settings


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _unknown(name: str, model: type[BaseModel]) -> str:
    """What to say of a setting that a class of settings has not: the likeliest, else all it has."""
    known = list(model.model_fields)
    alike = get_close_matches(name, known, 1)
    advice = f"did you mean {alike[0]}?" if alike else f"known: {', '.join(known) or 'none'}"
    return f"unknown setting; {advice}"


def explain(error: ValidationError, model: type[BaseModel], whole: str = "settings") -> str:
    """What is wrong with settings, in one line: each field, what it has and what it should.

    Args:
        error: What pydantic says.
        model: The class of the settings.
        whole: What to call them where a problem is not one field's.
    """
    problems = []
    for detail in error.errors():
        where = ".".join(str(part) for part in detail["loc"]) or whole
        if detail["type"] == "extra_forbidden":
            *path, name = detail["loc"]
            problems.append(f"{where}: {_unknown(str(name), _inner(model, path))}")
        elif detail["type"] == "missing":
            *path, name = detail["loc"]
            field = _inner(model, path).model_fields.get(str(name))
            wanted = field.description if field else None
            problems.append(f"{where}: has no value; wanted: {wanted or 'one'}")
        else:
            message = detail["msg"].removeprefix("Value error, ")
            # A whole table would hide the message that names the setting in it.
            is_table = isinstance(detail["input"], Mapping)
            got = "" if is_table else f" (got {detail['input']!r:.80})"
            problems.append(f"{where}: {message}{got}")
    return "; ".join(problems)


def _inner(model: type[BaseModel], path: Iterable[int | str]) -> type[BaseModel]:
    """The class of the settings at a place inside others, as deep as fields hold one class each."""
    for part in path:
        field = model.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return model
