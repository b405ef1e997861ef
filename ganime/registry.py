"""Components found by name: one file each, registered by the file itself.

A component is a frozen config: its fields are its options, its methods do its work. A settings file
selects it by name, `{name = "min_side", pixels = 512}`, and adding one touches no other file.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    BeforeValidator,
    GetJsonSchemaHandler,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic_core import CoreSchema

from ganime.config import Config, explain


class Component(Config):
    """Base of all registered components; its settings carry its name."""

    component: ClassVar[str] = ""

    @model_serializer(mode="wrap")
    def _with_name(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"name": self.component, **handler(self)}


ComponentT = TypeVar("ComponentT", bound=Component)


class Registry(Generic[ComponentT]):
    """The components of one package, by name.

    Args:
        base: The class all of them derive from.
        package: Dotted name of the package whose modules register them.
    """

    def __init__(self, base: type[ComponentT], package: str) -> None:
        self._base = base
        self._package = package
        self._classes: dict[str, type[ComponentT]] = {}
        self._kind = base.__name__.removesuffix("Config")  # what messages and forms call it

    def register(self, name: str) -> Callable[[type[ComponentT]], type[ComponentT]]:
        """Class decorator: make the class known under `name`."""

        def add(component: type[ComponentT]) -> type[ComponentT]:
            component.component = name
            self._classes[name] = component
            return component

        return add

    def names(self) -> list[str]:
        """All registered names, sorted."""
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        return sorted(self._classes)

    def build(self, settings: Any) -> Any:
        """Turn a name or `{"name": …, **options}` into a component; pass anything else through.

        Raises:
            ValueError: no such name; lists the known ones (a pydantic validator makes it a
                ConfigError that names the field).
        """
        if isinstance(settings, str):
            settings = {"name": settings}
        if not isinstance(settings, dict):
            return settings
        options = dict(settings)
        name = options.pop("name", None)
        known = self.names()
        if name not in self._classes:
            raise ValueError(
                f"no {self._kind.lower()} is called {name!r}; known: {', '.join(known)}"
            )
        try:
            return self._classes[name].model_validate(options)
        except ValidationError as error:
            # Pydantic nests this one's problems under the field that holds the component.
            raise ValueError(explain(error, self._classes[name], name)) from error

    def field(self) -> Any:
        """The annotation of a config field that holds such a component."""
        # The base is known at run time only, which a static annotation cannot say.
        return Annotated[
            SerializeAsAny[self._base],  # type: ignore[misc, name-defined]
            BeforeValidator(self.build),
            self,
        ]

    def __get_pydantic_json_schema__(
        self, _core: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """What a form shows: a choice of names. Options, which differ by name, are let through."""
        kind = self._kind
        name = {"type": "string", "title": "Name", "enum": self.names()}
        return {
            "title": kind,
            "type": "object",
            "properties": {"name": {**name, "description": f"Which {kind.lower()}."}},
            "required": ["name"],
            "additionalProperties": True,
        }
