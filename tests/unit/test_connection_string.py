"""Where Redis is: both ways to write it, what is wrong with it, and that no message shows a password."""

import pytest

from async_job.errors import SettingsError
from async_job.store.redis.connection_string import RedisAddress, masked, parse

LOCAL = (("localhost", 6379),)

GOOD = {
    "localhost": RedisAddress(hosts=LOCAL),
    " localhost:6379 ": RedisAddress(hosts=LOCAL),
    "localhost:6379,": RedisAddress(hosts=LOCAL),
    "redis,ssl=true": RedisAddress(hosts=(("redis", 6380),), ssl=True),
    "redis:1,SSL=True": RedisAddress(hosts=(("redis", 1),), ssl=True),
    "a:1,b:2,password=x=y,user=me": RedisAddress(hosts=(("a", 1), ("b", 2)), password="x=y", user="me"),
    "[::1]:7000,[::2]": RedisAddress(hosts=(("::1", 7000), ("::2", 6379))),
    "h, defaultDatabase = 3 ,connectTimeout=250,name=app": RedisAddress(
        hosts=(("h", 6379),), database=3, connect_timeout=250, name="app"
    ),
    "s1,s2:5,serviceName=mymaster": RedisAddress(hosts=(("s1", 26379), ("s2", 5)), service="mymaster"),
    "h,abortConnect=false,syncTimeout=5000": RedisAddress(hosts=(("h", 6379),)),
    "redis://localhost": RedisAddress(hosts=LOCAL),
    "redis://localhost:6379/": RedisAddress(hosts=LOCAL),
    "redis://": RedisAddress(hosts=LOCAL),
    "redis://[::1]:7000/4": RedisAddress(hosts=(("::1", 7000),), database=4),
    "redis://me:p%40ss%2Fword@h:1/2": RedisAddress(hosts=(("h", 1),), user="me", password="p@ss/word", database=2),
    "redis://:secret@h": RedisAddress(hosts=(("h", 6379),), password="secret"),
    "rediss://h/1?ssl_ca_certs=ca.pem&ssl_cert_reqs=none&client_name=x": RedisAddress(
        hosts=(("h", 6379),), ssl=True, database=1, ssl_ca_certs="ca.pem", ssl_cert_reqs="none", name="x"
    ),
}


@pytest.mark.parametrize("text", GOOD)
def test_what_it_says(text: str) -> None:
    assert parse(text) == GOOD[text]


@pytest.mark.parametrize("text", ["h,colour=blue", "redis://h?colour=blue"])
def test_an_unknown_option_is_a_warning(text: str) -> None:
    (warning,) = parse(text).warnings
    assert "'colour'" in warning
    assert "blue" not in warning


BAD = {
    "": "names no host",
    "password=hunter2": "names no host",
    "h:port,password=hunter2": "port of h",
    "h:0,password=hunter2": "port of h",
    "h:70000,password=hunter2": "port of h",
    ":6379,password=hunter2": "host is missing",
    "h,ssl=perhaps,password=hunter2": "ssl has to be true or false",
    "h,defaultDatabase=first,password=hunter2": "defaultDatabase has to be a whole number",
    "h,connectTimeout=-1,password=hunter2": "connectTimeout has to be a whole number",
    "redis://:hunter2@h:port/0": "no valid URL",
    "redis://:hunter2@h:99999": "no valid URL",
    "redis://:hunter2@h/first": "database after the host has to be a whole number",
    "http://:hunter2@h": "begins with redis://",
    "rediss://:hunter2@h?ssl_cert_reqs=maybe": "ssl_cert_reqs has to be",
    "redis://h?password=hunter2&db=x": "db has to be a whole number",
    "redis://user:hunter2/2@h:x": "no valid URL",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_is_said_without_the_password(text: str) -> None:
    with pytest.raises(SettingsError, match="Redis connection string") as raised:
        parse(text)
    assert BAD[text] in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_an_address_shows_no_password() -> None:
    assert "hunter2" not in repr(parse("h,password=hunter2"))
    assert "hunter2" not in masked("rediss://me:hunter2@h/0") + masked("h,Password = hunter2,ssl=true")
