"""Uses that type checkers have to flag: each marked line, and no other. Checked by test_typing.py, never run."""

from async_job import Client, Context, Jobs

jobs = Jobs()


@jobs.job
async def resize(path: str, size: int, *, quality: int = 80) -> str:
    return path


@jobs.job
def count(words: list[str]) -> int:
    return len(words)


@jobs.job(queue="slow")
async def report(ctx: Context, month: int) -> str:
    return str(month)


@jobs.job(runner="process")
def crunch(ctx: Context, number: int) -> float:
    return number / 2


async def in_a_loop(ctx: Context) -> None:
    await resize.submit("a")  # wrong: an argument is missing
    await resize.submit("a", "b")  # wrong: the type of an argument
    await resize.submit("a", 1, 2)  # wrong: only by name
    await resize.submit("a", 1, qualty=2)  # wrong: no such name
    await count.submit([1])  # wrong: the type of an element
    await count.submit()  # wrong: an argument is missing
    await report.submit(ctx, 3)  # wrong: the context is filled in
    await report.submit()  # wrong: an argument is missing
    await report.submit("3")  # wrong: the type of an argument
    await crunch.submit(ctx, 3)  # wrong: the context is filled in
    await crunch.submit(number="3")  # wrong: the type of an argument
    await count(["a"])  # wrong: a plain function gives its result, and no awaitable
    a: str = resize("a", 1)  # wrong: an async function gives an awaitable
    b: int = await (await resize.submit("a", 1)).result()  # wrong: the result is a str
    c: str = await (await count.submit(["a"])).result()  # wrong: the result is an int
    await report.with_options(delay=3).submit("3")  # wrong: options do not change the types
    d: int = await (await report.with_options(delay=3).submit(3)).result()  # wrong: the result is a str
    report.with_options(dealy=3)  # wrong: no such option
    report.with_options(on_conflict="explode")  # wrong: no such choice
    ctx.progress("half")  # wrong: a number
    print(a, b, c, d)


def without_a_loop() -> None:
    resize.submit_sync("a")  # wrong: an argument is missing
    report.submit_sync("3")  # wrong: the type of an argument
    e: int = report.submit_sync(3).result_sync()  # wrong: the result is a str
    print(e)


@jobs.job(runner="rocket")  # wrong: no such runner
def fly() -> None: ...


@jobs.job(queu="a")  # wrong: no such argument
def typo() -> None: ...


def over_http(client: Client) -> None:
    client.submit(resize, "a")  # wrong: an argument is missing
    client.submit(resize, "a", "b")  # wrong: the type of an argument
    client.submit(count, ["a"], delay=3)  # wrong: an argument that there is not
    client.submit("resize", keys="k")  # wrong: an argument that there is not
    text: str = client.submit(count, ["a"]).result()  # wrong: the type of the result
    print(text)
