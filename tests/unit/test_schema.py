"""What a function takes and gives, read from its signature."""

import enum
import inspect
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from msgspec import Meta, Struct

from async_job.context import Context, DetachedRun
from async_job.errors import InvalidInput, InvalidResult, NotJson, OutdatedInput, RegistrationError
from async_job.schema import InputSchema, ResultSchema

CONTEXT = Context("id", 1, DetachedRun("type"))
MOST = 1_000


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Size:
    width: int
    height: int = 1


class Point(Struct):
    x: float
    y: float = 0.0


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict, total=False):
    deep: bool


class Address(pydantic.BaseModel):
    city: str
    since: date = date(2020, 1, 1)


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=1)
    addresses: list[Address] = []
    friends: list["Person"] = []


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    day: date = pydantic.Field(alias="theDay")


@dataclass
class Order:
    person: Person
    sizes: list[Size] = field(default_factory=list)


def given(function: Callable[..., Any], *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    """The arguments as the function gets them, after their way through JSON."""
    schema = InputSchema(function, "job")
    positional, named = schema.arguments(schema.encode(args, kwargs), CONTEXT)
    bound = inspect.signature(function).bind(*positional, **named)
    bound.apply_defaults()
    return bound


STANDARD: list[tuple[Any, Any]] = [
    (int, 3),
    (int, 2**63),
    (float, 1.5),
    (bool, True),
    (str, "Zoë \x00 ☃"),
    (bytes, b"\x00\xff"),
    (None, None),
    (int | None, None),
    (list[int], [1, 2]),
    (dict[str, int], {"a": 1}),
    (dict[int, str], {1: "a"}),
    (tuple[int, str], (1, "a")),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (datetime, datetime(2024, 2, 29, 12, 0, 0, 5, tzinfo=UTC)),
    (date, date(2024, 2, 29)),
    (timedelta, timedelta(days=1, microseconds=3)),
    (Decimal, Decimal("1.10")),
    (uuid.UUID, uuid.UUID(int=7)),
    (Colour, Colour.RED),
    (Literal["a", 1], "a"),
    (Annotated[int, Meta(ge=0)], 0),
    (Size, Size(1, 2)),
    (Point, Point(1.0, 2.0)),
    (Pair, Pair(1, "a")),
    (Options, {"deep": True}),
    (Person, Person(name="a", addresses=[Address(city="b")], friends=[Person(name="c")])),
    (Strict, Strict(theDay=date(2024, 2, 29))),
    (Order, Order(Person(name="a"), [Size(1)])),
    (list[Person], [Person(name="a")]),
    (Person | None, Person(name="a")),
    (dict[str, Person], {"x": Person(name="a")}),
    (Any, {"a": [1, None]}),
]


@pytest.mark.parametrize(("hint", "value"), STANDARD, ids=[str(hint) for hint, _ in STANDARD])
def test_a_value_comes_back_as_it_was_given(hint: Any, value: Any) -> None:
    def takes(value: Any) -> Any: ...

    takes.__annotations__ = {"value": hint, "return": hint}
    result = given(takes, value).arguments["value"]
    assert result == value
    assert type(result) is type(value)
    schema = ResultSchema(takes, "job")
    assert schema.decode(schema.encode(value, MOST)) == value
    json.dumps([InputSchema(takes, "job").json_schema, schema.json_schema])


SIZE = Size(3)
NAMES = ["a"]
PERSON = Person(name="b")


def test_what_is_not_given_has_its_default() -> None:
    def takes(size: Size = SIZE, names: list[str] = NAMES, *, person: Person = PERSON, n: int = 4) -> None: ...

    schema = InputSchema(takes, "job")
    assert schema.encode((), {}) == b"{}"
    assert given(takes).arguments == {"size": Size(3), "names": ["a"], "person": Person(name="b"), "n": 4}
    assert given(takes, Size(1), n=5).arguments["n"] == 5


def test_an_input_has_only_what_was_given() -> None:
    def takes(a: int, b: int = 2) -> None: ...

    assert InputSchema(takes, "job").encode((1,), {}) == b'{"a":1}'
    assert InputSchema(takes, "job").encode((), {"b": 3, "a": 1}) == b'{"a":1,"b":3}'


def test_every_kind_of_parameter_is_filled() -> None:
    def takes(a: int, b: int = 2, /, c: int = 3, *, d: int, e: int = 5) -> None: ...

    assert list(given(takes, 1, d=4).arguments.values()) == [1, 2, 3, 4, 5]
    assert list(given(takes, 1, 20, 30, d=40, e=50).arguments.values()) == [1, 20, 30, 40, 50]


def first(ctx: Context, a: int, b: int = 2) -> None: ...
def between(a: int, ctx: Context, b: int = 2) -> None: ...
def last(a: int, b: int = 2, ctx: Context = CONTEXT) -> None: ...
def named(a: int, b: int = 2, *, ctx: Context) -> None: ...
def positional(ctx: Context, a: int, /, b: int = 2) -> None: ...
def positional_between(a: int, ctx: Context, /, b: int = 2) -> None: ...
def optional(a: int, b: int = 2, ctx: Context | None = None) -> None: ...
def annotated(a: int, b: int = 2, *, ctx: Annotated[Context, "mine"]) -> None: ...
def as_text(a: int, b: int = 2, *, ctx: "Context") -> None: ...


EVERY_PLACE = [first, between, last, named, positional, positional_between, optional, annotated, as_text]


@pytest.mark.parametrize("function", EVERY_PLACE)
def test_a_context_in_any_place_is_filled_in_and_no_input(function: Callable[..., None]) -> None:
    schema = InputSchema(function, "job")
    assert schema.context_parameter == "ctx"
    assert schema.encode((1,), {"b": 3}) == b'{"a":1,"b":3}'
    assert "ctx" not in json.dumps(schema.json_schema)
    assert given(function, 1, b=3).arguments == {"a": 1, "b": 3, "ctx": CONTEXT}
    assert list(schema.without_context().parameters) == ["a", "b"]
    with pytest.raises(InvalidInput, match="ctx"):
        schema.encode((1,), {"ctx": CONTEXT})
    with pytest.raises(InvalidInput, match="unknown field `ctx`"):
        schema.decode(b'{"a":1,"ctx":{}}')


CALLS: list[tuple[tuple[int, ...], dict[str, int]]] = [((1,), {}), ((1, 3), {}), ((1,), {"b": 3})]
NAMED_CALL: tuple[tuple[int, ...], dict[str, int]] = ((), {"a": 1, "b": 3})


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (function, *call)
        for function in EVERY_PLACE
        for call in (CALLS if function in (positional, positional_between) else [*CALLS, NAMED_CALL])
    ],
)
def test_a_direct_call_gets_a_context(
    function: Callable[..., None], args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    signature = inspect.signature(function)
    filled, named_ = InputSchema(function, "job").fill_context(args, kwargs, CONTEXT)
    bound = signature.bind(*filled, **named_)
    bound.apply_defaults()
    assert bound.arguments["ctx"] is CONTEXT
    assert bound.arguments["a"] == 1
    assert bound.arguments["b"] == (2 if (args, kwargs) == ((1,), {}) else 3)


def test_a_direct_call_may_bring_its_own_context() -> None:
    own = Context("own", 1, DetachedRun("type"))
    assert InputSchema(first, "job").fill_context((own, 1), {}, CONTEXT) == ((own, 1), {})
    assert InputSchema(first, "job").fill_context((), {"ctx": own, "a": 1}, CONTEXT) == ((), {"ctx": own, "a": 1})


def bad_path(value: Path) -> None: ...
def bad_object(value: object) -> None: ...
def bad_union(value: Person | Address) -> None: ...
def bad_name(value: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def bad_result() -> Path: ...  # type: ignore[empty-body]
def star(*values: int) -> None: ...
def stars(**values: int) -> None: ...
def two_contexts(a: Context, b: Context) -> None: ...
def underscores(__value: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (bad_path, "Path"),
        (bad_object, "object"),
        (bad_union, "Person"),
        (bad_name, "Missing"),
        (star, r"\*values"),
        (stars, r"\*values"),
        (two_contexts, "only one parameter can be a Context"),
        (underscores, "__value"),
        (dict, "signature"),
    ],
)
def test_what_has_no_json_form_is_refused_at_registration(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(RegistrationError, match=says) as refused:
        InputSchema(function, "the-job")
    assert "the-job" in str(refused.value)


def test_a_result_without_json_form_is_refused_at_registration() -> None:
    with pytest.raises(RegistrationError, match="Path"):
        ResultSchema(bad_result, "job")


def order(order: Order, count: Annotated[int, Meta(ge=1)] = 1) -> None: ...


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        (b'{"order":{"person":{"name":"a"},"sizes":[{"width":1},{"width":"2"}]}}', "$.order.sizes[1].width", "int"),
        (b'{"order":{"person":{"name":""}}}', "$.order.person", "name: String should have at least 1 character"),
        (b'{"order":{"person":{"name":"a","addresses":[{}]}}}', "$.order.person", "addresses.0.city: Field required"),
        (b'{"order":{"person":3}}', "$.order.person", "Input should be an object"),
        (b'{"order":{"person":{"name":"a"}},"count":0}', "$.count", ">= 1"),
        (b"{}", "", "`order`"),
        (b'{"order":{"person":{"name":"a"}},"cuont":1}', "", "`cuont`"),
        (b"[]", "", "object"),
        (b"null", "", "object"),
    ],
)
def test_a_wrong_input_is_told_with_its_place(text: bytes, path: str, says: str) -> None:
    with pytest.raises(InvalidInput) as invalid:
        InputSchema(order, "job").decode(text)
    assert invalid.value.path == path
    assert says in invalid.value.reason
    assert "pydantic.dev" not in str(invalid.value)
    assert not isinstance(invalid.value, NotJson)


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":}', b'{"order":1}x', b'{"\xff":1}', b"NaN", b"[" * 100_000 + b"]"])
def test_what_is_no_json_is_told_so(text: bytes) -> None:
    def takes(order: Any) -> None: ...

    with pytest.raises(InvalidInput):
        InputSchema(takes, "job").decode(text)


def test_no_json_is_an_error_of_its_own() -> None:
    with pytest.raises(NotJson):
        InputSchema(order, "job").decode(b'{"order":')


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "order"),
        ((1, 2, 3), {}, "too many"),
        ((Order(Person(name="a")),), {"nope": 1}, "nope"),
        ((Order(Person(name="a")), 1), {"count": 1}, "count"),
        ((Order(Person(name="a")), 0), {}, ">= 1"),
        ((Order(Person(name="a")), "1"), {}, "int"),
        ((3,), {}, "object"),
        ((object(),), {}, "object objects have no JSON form"),
        ((2**70,), {}, "cannot be written as JSON|Expected"),
        (("\udcff",), {}, "cannot be written as JSON"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_stored(
    args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        InputSchema(order, "job").encode(args, kwargs)


def test_arguments_that_contain_themselves_are_refused() -> None:
    def takes(value: Any) -> None: ...

    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="JSON"):
        InputSchema(takes, "job").encode((endless,), {})


class Broken(Struct):
    n: int

    def __post_init__(self) -> None:
        raise KeyError("broken")


def test_errors_of_the_users_types_are_invalid_inputs() -> None:
    def takes(value: Broken) -> None: ...

    with pytest.raises(InvalidInput, match="broken"):
        InputSchema(takes, "job").decode(b'{"value":{"n":1}}')


def test_a_stored_input_that_no_longer_fits_is_outdated() -> None:
    with pytest.raises(OutdatedInput) as outdated:
        InputSchema(order, "job").arguments(b'{"order":3}', CONTEXT)
    assert outdated.value.path == "$.order"


def test_the_schema_says_what_the_function_takes() -> None:
    def takes(ctx: Context, person: Person, count: Annotated[int, Meta(ge=1, description="how many")] = 1) -> None: ...

    schema = InputSchema(takes, "a.job-1").json_schema
    definitions = schema["$defs"]
    top = definitions[schema["$ref"].removeprefix("#/$defs/")]
    assert top["required"] == ["person"]
    assert top["additionalProperties"] is False
    assert top["properties"]["count"] == {"type": "integer", "minimum": 1, "description": "how many", "default": 1}
    assert {"Person", "Address"} <= definitions.keys()
    # A reference is a URI, and every one leads somewhere.
    for reference in references(schema):
        assert " " not in reference
        assert reference.removeprefix("#/$defs/") in definitions


def references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(references, schema))
    if isinstance(schema, dict):
        own = {schema["$ref"]} if "$ref" in schema else set()
        return own.union(*map(references, schema.values()))
    return set()


def returns_int() -> int:
    return 1


def returns_anything():  # type: ignore[no-untyped-def]
    return None


def returns_person() -> Person:
    return Person(name="a")


def test_a_result_is_checked_against_its_annotation() -> None:
    schema = ResultSchema(returns_int, "job")
    assert schema.encode(3, MOST) == b"3"
    for wrong in ("3", None, 1.5, object(), float("nan")):
        with pytest.raises(InvalidResult):
            schema.encode(wrong, MOST)


def test_a_result_without_annotation_may_be_anything_that_json_can_hold() -> None:
    schema = ResultSchema(returns_anything, "job")
    assert schema.decode(schema.encode({"a": [Size(1), Person(name="b")]}, MOST)) == {
        "a": [{"width": 1, "height": 1}, {"name": "b", "addresses": [], "friends": []}]
    }
    with pytest.raises(InvalidResult, match="object objects have no JSON form"):
        schema.encode(object(), MOST)


def test_a_result_has_at_most_so_many_bytes() -> None:
    schema = ResultSchema(returns_anything, "job")
    assert len(schema.encode("x" * 8, 10)) == 10
    with pytest.raises(InvalidResult, match="11 bytes; at most 10"):
        schema.encode("x" * 9, 10)


def test_a_result_that_breaks_when_it_is_written_is_invalid() -> None:
    class Bomb:
        def model_dump(self, **_: object) -> Any:
            raise ZeroDivisionError("bomb")

    with pytest.raises(InvalidResult, match="bomb"):
        ResultSchema(returns_anything, "job").encode(Bomb(), MOST)


def test_a_model_comes_back_as_a_model() -> None:
    schema = ResultSchema(returns_person, "job")
    assert schema.decode(schema.encode(Person(name="a"), MOST)) == Person(name="a")


def test_msgspec_alone_would_not_do() -> None:
    """The hooks are what makes models work; if msgspec learns them, this says so."""
    with pytest.raises(TypeError):
        msgspec.json.encode(Person(name="a"))
