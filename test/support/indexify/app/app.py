"""Functions for tests of the Indexify door, written with the public SDK."""

import hashlib
import os
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tensorlake.applications import (
    File,
    RequestContext,
    RequestError,
    application,
    cls,
    function,
)


@application()
@function()
def hello(name: str) -> str:
    return f"hello {name}"


@application()
@function()
def parent_pid(_: str) -> int:
    return os.getppid()


@application()
@function()
def fails(_: str) -> str:
    raise ValueError("it was bound to fail")


@application()
@function()
def refuses(text: str) -> str:
    raise RequestError(f"not {text}")


@application()
@function()
def doubles_of(numbers: list[int]) -> list[int]:
    return [double(number) for number in numbers]


@function()
def double(number: int) -> int:
    return 2 * number


@application()
@function()
def tail(number: int) -> int:
    return double.future(number)


@application()
@function()
def sum_of(numbers: list[int]) -> int:
    return add.reduce(numbers, 0)


@function()
def add(so_far: int, number: int) -> int:
    return so_far + number


@application()
@function()
def remembers(text: str) -> str:
    state = RequestContext.get().state
    state.set("long", text * 3)
    state.set("long", text)
    return f"{state.get('long')}|{state.get('never', 'nothing')}"


@application()
@function()
def big(megabytes: int) -> bytes:
    return b"x" * (megabytes * 1024 * 1024)


@application()
@function()
def digest_of(file: File) -> str:
    return hashlib.sha256(file.content).hexdigest()


@application()
@function()
def there_and_back(megabytes: int) -> list[str]:
    """The digest of what was sent to another function, and of what came back from it."""
    sent = os.urandom(1024) * 1024 * megabytes
    back = mirrored(sent)
    return [hashlib.sha256(sent).hexdigest(), hashlib.sha256(back[::-1]).hexdigest()]


@function()
def mirrored(content: bytes) -> bytes:
    return content[::-1]


@application()
@function()
def counts(order: list) -> int:
    """Writes a line to a file, each time that it is run, and takes its time."""
    path, seconds = order
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    with open(path) as file:
        return len(file.readlines())


@cls()
class NeverThere:
    def __init__(self):
        time.sleep(600)

    @application()
    @function()
    def waits(self, text: str) -> str:
        return text


@application()
@function(timeout=2)
def slow_with_progress(rounds: int) -> str:
    progress = RequestContext.get().progress
    for index in range(rounds):
        time.sleep(0.5)
        progress.update(index + 1, rounds)
    return "done"


@application()
@function()
def asks(requests: list[list[str]]) -> list[int]:
    """What is answered to requests that are sent as they are, each a method and an address."""
    return [status_of(method, url) for method, url in requests]


def status_of(method: str, url: str) -> int:
    data = b"theirs" if method == "PUT" else None
    try:
        return urlopen(Request(url, method=method, data=data)).status
    except HTTPError as error:
        return error.code


@application()
@function()
def credentials(_: str) -> list[str]:
    """Names of variables that would let somebody into a store."""
    return [name for name in os.environ if name.startswith("AWS_")]


@application()
@function()
def sleeps(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


@application()
@function()
def crashes(_: str) -> str:
    os._exit(1)


@application()
@function()
def eats(megabytes: int) -> int:
    return len(bytearray(os.urandom(1024) * 1024 * megabytes))
