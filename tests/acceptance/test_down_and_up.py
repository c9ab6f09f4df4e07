"""`tidemill down`, then `tidemill up`: what was deployed, stored and queued is there again."""

from __future__ import annotations

import httpx
import pytest

from tests.support.calls import ended, state_of, submit
from tests.support.command import tidemill
from tests.support.functions import Functions
from tests.support.platform import Platform

pytestmark = pytest.mark.stack

SLOW = "import time\n\ndef handle(event, context):\n    time.sleep(0.3)\n    return event.body\n"


def test_functions_and_queue_survive(app: Platform, functions: Functions, http: httpx.Client) -> None:
    """Twenty calls of which most still wait when it goes down: all are run afterwards, by the same function at the
    same version, and the item stored before is read."""
    answer = http.post("/upload", json={"id": "acceptance-survives", "key": "photos/none"})
    assert answer.status_code == 202
    name = functions.deploy("survivor", SLOW, annotations={"com.tidemill.queue.inflight": "1"})
    image = app.client.get(f"/system/function/{name}").json()["image"]
    ids = [submit(http, name, f"job {number}") for number in range(20)]
    assert state_of(http, ids[-1])["state"] == "queued"

    assert tidemill(app.settings, "down").code == 0
    assert app.pids() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(app.url)
    up = tidemill(app.settings, "up", "--no-deploy")
    assert up.code == 0, up.text

    with httpx.Client(base_url=app.url, timeout=60) as again:
        assert {ended(again, call_id)["state"] for call_id in ids} == {"succeeded"}
        assert again.get(f"/async-function/{ids[-1]}/result").text == "job 19"
        assert again.get("/items/acceptance-survives").json()["id"] == "acceptance-survives"
        assert again.post(f"/function/{name}", content=b"x").text == "x"
    with httpx.Client(base_url=app.url, auth=app.client.auth, timeout=60) as operator:
        assert operator.get(f"/system/function/{name}").json()["image"] == image


def test_a_second_down_and_a_second_up_are_no_errors(app: Platform) -> None:
    """Both may be said again at any time."""
    assert tidemill(app.settings, "up", "--no-deploy").code == 0
    assert tidemill(app.settings, "down").code == 0
    assert tidemill(app.settings, "down").code == 0
    assert tidemill(app.settings, "up", "--no-deploy").code == 0
    status = tidemill(app.settings, "status", "--json")
    assert (status.code, status.json["ready"]) == (0, True)
