"""The typed input and result of a function, read from its signature.

Standard types, dataclasses, attrs classes, msgspec Structs and pydantic models are understood. An input is a JSON
object with one member a parameter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from async_job.context import Context
from async_job.errors import InvalidInput, InvalidResult, NotJson, OutdatedInput, RegistrationError, says


class InputSchema:
    """What a function takes. ``context_parameter`` is the name of its parameter annotated ``Context``, if any."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._signature = _signature(function, name)
        hints = _hints(function, name)
        self.context_parameter: str | None = None
        self._positional: list[str] = []
        fields: list[Any] = []
        for parameter in self._signature.parameters.values():
            hint = hints.get(parameter.name, Any)
            if _is_context(hint):
                self._take_context(parameter.name, name)
            else:
                fields.append(_field(parameter, hint, name))
            if parameter.kind is parameter.POSITIONAL_ONLY:
                self._positional.append(parameter.name)
        self._names = [field[0] for field in fields]
        struct = msgspec.defstruct(f"{name}.input", fields, kw_only=True, forbid_unknown_fields=True)
        self._decoder = _decoder(struct, name)
        self.json_schema = _json_schema(struct, name)

    def _take_context(self, parameter: str, name: str) -> None:
        if self.context_parameter is not None:
            raise RegistrationError(f"job {name!r}: only one parameter can be a Context, not {parameter!r} as well")
        self.context_parameter = parameter

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The JSON text of a call's own arguments, checked against their types.

        Raises:
            InvalidInput: they do not fit.
        """
        if not args and not kwargs and not self._names:
            return b"{}"
        given = self._bind(args, kwargs)
        try:
            text = msgspec.json.encode(given, enc_hook=_to_json)
        except Exception as error:
            # Types of the user's and of other libraries run their own code here.
            raise InvalidInput(f"the arguments cannot be written as JSON: {says(error)}") from error
        self.decode(text)
        return text

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name. The context has no value yet, so its place is filled with a stand-in."""
        try:
            if self.context_parameter is None:
                return self._signature.bind(*args, **kwargs).arguments
            if self.context_parameter in kwargs:
                raise InvalidInput(f"{self.context_parameter!r} is filled in by the worker and is no input")
            given = self.without_context().bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidInput(f"the arguments do not fit {self._signature}: {error}") from error
        return given

    def without_context(self) -> inspect.Signature:
        """The signature as a caller sees it."""
        return self._signature.replace(
            parameters=[p for p in self._signature.parameters.values() if p.name != self.context_parameter]
        )

    def decode(self, text: bytes) -> Any:
        """The input as a struct with one attribute a parameter.

        Raises:
            InvalidInput: the text is no JSON, or does not fit.
        """
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `")
            raise InvalidInput(message, path.rstrip("`")) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotJson(f"not JSON: {error}") from error
        except Exception as error:
            # Types of the user's and of other libraries run their own code here.
            raise InvalidInput(f"cannot be read: {type(error).__name__}: {says(error)}") from error

    def arguments(self, text: bytes, context: Context) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with, from a stored input: positional-only arguments, and the others by name.

        Raises:
            OutdatedInput: it does not fit.
        """
        try:
            value = self.decode(text)
        except InvalidInput as error:
            raise OutdatedInput(error.reason, error.path) from error
        named = {name: getattr(value, name) for name in self._names}
        if self.context_parameter is not None:
            named[self.context_parameter] = context
        return [named.pop(name) for name in self._positional], named

    def fill_context(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], context: Context
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a direct call, with the context in its place unless the caller gave one."""
        name = self.context_parameter
        if name is None or name in kwargs or any(isinstance(value, Context) for value in args):
            return args, kwargs
        parameters = list(self._signature.parameters.values())
        place = next(at for at, parameter in enumerate(parameters) if parameter.name == name)
        if parameters[place].kind is inspect.Parameter.KEYWORD_ONLY or place > len(args):
            return args, {**kwargs, name: context}
        return (*args[:place], context, *args[place:]), kwargs


class ResultSchema:
    """What a function gives back."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        hint = _hints(function, name).get("return", Any)
        self._decoder = _decoder(hint, name)
        self.json_schema = _json_schema(hint, name)

    def encode(self, value: Any, most: int) -> bytes:
        """The JSON text of a result, checked against the annotation and of at most ``most`` bytes.

        Raises:
            InvalidResult: it cannot be stored.
        """
        try:
            text = msgspec.json.encode(value, enc_hook=_to_json)
        except Exception as error:
            # Types of the user's and of other libraries run their own code here.
            raise InvalidResult(f"the result cannot be written as JSON: {says(error)}") from error
        if len(text) > most:
            raise InvalidResult(f"the result has {len(text)} bytes; at most {most} are stored (max_result)")
        try:
            self._decoder.decode(text)
        except Exception as error:
            raise InvalidResult(f"the result is not what the function's annotation says: {says(error)}") from error
        return text

    def decode(self, text: bytes) -> Any:
        return self._decoder.decode(text)


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise RegistrationError(f"job {name!r}: it has no signature to read: {error}") from error


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise RegistrationError(f"job {name!r}: an annotation cannot be read: {error}") from error


def _is_context(hint: Any) -> bool:
    return hint is Context or (get_origin(hint) is not None and Context in get_args(hint))


def _field(parameter: inspect.Parameter, hint: Any, name: str) -> tuple[Any, ...]:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise RegistrationError(f"job {name!r}: *{parameter.name} has no fixed JSON form; name each parameter")
    if parameter.name.startswith("__"):
        raise RegistrationError(f"job {name!r}: {parameter.name} begins with two underscores; give it another name")
    if parameter.default is parameter.empty:
        return parameter.name, hint
    default = parameter.default
    if isinstance(default, str | int | float | None):
        return parameter.name, hint, default
    return parameter.name, hint, msgspec.field(default_factory=lambda: default)


def _decoder(type: Any, name: str) -> msgspec.json.Decoder[Any]:
    try:
        return msgspec.json.Decoder(type, dec_hook=_from_json)
    except TypeError as error:
        raise RegistrationError(f"job {name!r}: an annotation cannot be read from JSON: {error}") from error


def _json_schema(type: Any, name: str) -> dict[str, Any]:
    """JSON Schema 2020-12, with pydantic's own definitions lifted to the top, where their references look."""
    lifted: dict[str, Any] = {}

    def of_other_library(type: Any) -> dict[str, Any]:
        if not hasattr(type, "model_json_schema"):
            raise TypeError(f"{getattr(type, '__qualname__', type)} is not understood")
        schema: dict[str, Any] = type.model_json_schema()
        lifted.update(schema.pop("$defs", {}))
        return schema

    try:
        schema = msgspec.json.schema(type, schema_hook=of_other_library)
    except Exception as error:
        # Types of other libraries run their own code here.
        raise RegistrationError(f"job {name!r}: a type has no JSON form: {error}") from error
    if lifted:
        schema["$defs"] = {**lifted, **schema.get("$defs", {})}
    return schema


def _from_json(type: Any, value: Any) -> Any:
    if not hasattr(type, "model_validate"):
        raise NotImplementedError(f"no way to read a {type!r} from JSON")
    try:
        # From JSON text: a strict model takes a date as text there, and nowhere else.
        return type.model_validate_json(msgspec.json.encode(value))
    except ValueError as error:
        raise ValueError(_short(error)) from error


def _short(error: Exception) -> str:
    """pydantic's errors on one line, without the links to its website."""
    faults: list[Any] = getattr(error, "errors", list)()
    each = [": ".join(filter(None, [".".join(map(str, fault["loc"])), fault["msg"]])) for fault in faults]
    return "; ".join(each) or str(error)


def _to_json(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__qualname__} objects have no JSON form")
