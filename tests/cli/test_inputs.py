"""`key=value` is read by what the job's schema says of the key, options by what a job may have."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from async_job.cli.inputs import read_input, read_options, read_query
from async_job.core.job import State
from async_job.core.query import Query
from async_job.core.submission import OnConflict, Options
from async_job.errors import InvalidInput, InvalidOptions
from async_job.schema import InputSchema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


class Model(BaseModel):
    name: str


def job(
    name: str,
    count: int = 1,
    ratio: float | None = None,
    sure: bool = False,
    colour: Colour = Colour.RED,
    mode: Literal["fast", 3] = "fast",
    at: datetime | None = None,
    tags: list[str] = [],  # noqa: B006  (never called)
    either: int | str = 0,
    text: str | None = None,
    point: Point | None = None,
    model: Model | None = None,
    sizes: dict[str, int] = {},  # noqa: B006  (never called)
    anything: Any = None,
) -> None: ...


SCHEMA = InputSchema(job, "job").json_schema


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("name=cat.jpg", "cat.jpg"),
        ("name=5", "5"),
        ("name=true", "true"),
        ("name=null", "null"),
        ("name=", ""),
        ("name=a=b", "a=b"),
        ("name=a:=b", "a:=b"),
        ("count=5", 5),
        ("count=-1", -1),
        ("ratio=5", 5),
        ("ratio=1e-3", 0.001),
        ("ratio=null", None),
        ("ratio=", None),
        ("sure=true", True),
        ("colour=blue", "blue"),
        ("mode=fast", "fast"),
        ("mode=3", 3),
        ("at=2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ('tags=["a", "b"]', ["a", "b"]),
        ("either=5", 5),
        ("either=five", "five"),
        ("either=1.5", "1.5"),
        ("text=null", "null"),
        ("text:=null", None),
        ("count:=7", 7),
        ('name:="quoted"', "quoted"),
        ('point={"x": 1}', {"x": 1}),
        ('point:={"x": 1}', {"x": 1}),
        ('model={"name": "m"}', {"name": "m"}),
        ('sizes={"s": 1}', {"s": 1}),
        ("anything=5", 5),
        ("anything=[1]", [1]),
        ("anything=hello", "hello"),
    ],
)
def test_a_value_is_read_by_the_type_of_its_key(pair: str, value: object) -> None:
    key = pair.partition("=")[0].rstrip(":")
    got = read_input([pair] if key == "name" else ["name=needed", pair], SCHEMA)[key]
    assert (got, type(got)) == (value, type(value))


def test_pairs_go_together() -> None:
    assert read_input(["name=x", "count=2", "tags:=[]"], SCHEMA) == {"name": "x", "count": 2, "tags": []}
    assert read_input(["name=x"], SCHEMA) == {"name": "x"}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["name"], "'name' is no input; write key=value, or key:=json"),
        ([], "the job needs name; it takes name, count"),
        (["count=1"], "the job needs name; it takes name, count"),
        (["=5"], "'=5' is no input"),
        ([":=5"], "':=5' is no input"),
        (["name=a", "name=b"], "name is given twice"),
        (["nam=a"], "the job takes no nam; it takes name, count"),
        (["count=five"], "count is 'five', and has to be a whole number"),
        (["count=1.5"], "a whole number"),
        (["count=true"], "a whole number"),
        (["count="], "count is '', and has to be a whole number"),
        (["ratio=much"], "ratio is 'much', and has to be a number or null"),
        (["sure=yes"], "sure is 'yes', and has to be true or false"),
        (["tags=a,b"], "tags is 'a,b', and has to be a JSON array"),
        (["point=1"], "point is '1', and has to be a JSON object or null"),
        (["count:=five"], "count:=five is no JSON"),
        (["tags:=[1"], "tags:=[1 is no JSON"),
        (["tags:=" + "[" * 100_000], "is no JSON"),
    ],
)
def test_what_cannot_be_read_is_named(pairs: list[str], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_input(pairs, SCHEMA)
    assert said in str(caught.value)


def test_a_job_that_takes_nothing_says_so() -> None:
    def bare() -> None: ...

    with pytest.raises(InvalidInput, match="the job takes no x; it takes nothing"):
        read_input(["x=1"], InputSchema(bare, "bare").json_schema)


def test_options_are_those_of_a_job() -> None:
    given = {"delay": 5.0, "priority": -3, "queue": None, "on_conflict": "reject"}
    expected = Options(delay=5.0, priority=-3, on_conflict=OnConflict.REJECT, labels={"shop": "7", "note": "a=b"})
    assert read_options(given, ["shop=7", "note=a=b"]) == expected
    assert read_options({"delay": None}, []) == Options()


@pytest.mark.parametrize(
    ("given", "labels", "said"),
    [
        ({"priority": 10}, [], "priority must be from -9 to 9, not 10"),
        ({"delay": -1.0}, [], "delay must be from 0"),
        ({}, ["shop"], "'shop' is no label; write --label name=value"),
        ({}, ["shop=1", "shop=2"], "label shop is given twice"),
        ({}, ["a b=1"], "labels: 'a b' must be"),
    ],
)
def test_options_that_cannot_be_are_named(given: dict[str, object], labels: list[str], said: str) -> None:
    with pytest.raises(InvalidOptions) as caught:
        read_options(given, labels)
    assert said in str(caught.value)


def test_a_query_is_of_states_and_labels() -> None:
    query = read_query("failed, cancelled,failed", "resize", "other", ["shop=7"])
    wanted = (State.FAILED, State.CANCELLED)
    assert query == Query(states=wanted, type="resize", queue="other", labels={"shop": "7"})
    assert read_query(None, None, None, []) == Query()
    with pytest.raises(InvalidOptions, match="'done' is no state; there are scheduled, queued, running"):
        read_query("failed,done", None, None, [])
