"""A caller whose function dies while it is being called."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.functions import Functions
from tests.support.platform import Platform
from tests.support.processes import kill, replicas
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults]

HANGING = """\
import time
from pathlib import Path

def handle(event, context):
    if event.method == "POST":
        Path("called").touch()
        time.sleep(20)
    return "called" if Path("called").exists() else "not yet"
"""


@pytest.fixture
def hanging(stack: Platform, tmp_path: Path) -> Iterator[str]:
    functions = Functions(stack, tmp_path)
    yield functions.deploy("hanging", HANGING, labels={"com.openfaas.scale.max": "1"})
    functions.close()


def call_and_kill(stack: Platform, name: str, caller: httpx.Client) -> httpx.Response:
    """The caller's answer to a call in the middle of which the replica is killed."""
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(caller.post, f"/function/{name}")
        wait_until(lambda: httpx.get(f"{stack.url}/function/{name}").text == "called", "the call is under way")
        for pid in replicas(stack, name):
            kill(pid)
        return call.result()


def test_the_caller_is_told(stack: Platform, hanging: str) -> None:
    """502 with the call id, and the next call is served by a new replica."""
    with httpx.Client(base_url=stack.url, timeout=30) as caller:
        answer = call_and_kill(stack, hanging, caller)
    assert (answer.status_code, answer.json()["code"]) == (502, "broken_answer")
    assert answer.json()["call_id"] == answer.headers["X-Call-Id"]
    assert httpx.get(f"{stack.url}/function/{hanging}", timeout=30).status_code == 200


@pytest.mark.xfail(
    strict=True,
    raises=httpx.RemoteProtocolError,
    reason="on a kept connection HAProxy closes instead of answering 502, trusting the client to send it again",
)
def test_a_caller_on_a_kept_connection_is_told(stack: Platform, hanging: str) -> None:
    """As well when it is not the connection's first call."""
    with httpx.Client(base_url=stack.url, timeout=30) as caller:
        assert caller.get(f"/function/{hanging}").status_code == 200
        assert call_and_kill(stack, hanging, caller).status_code == 502
