"""What a replica gets and what it does not, against a real spawner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.spawner.conftest import Functions, caller
from tests.support.waiting import wait_until
from tidemill.spawn import cgroups

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a function a user of its own")
UID = 512_345


async def test_secrets_are_readable_and_private(functions: Functions) -> None:
    """A secret is where OpenFaaS puts it (as root), or where the variable says; the files cannot be changed."""
    secret = functions.folder / "token"
    secret.write_bytes(b"s3cr\x00et\n")
    slot = await functions.put(
        """
        import os
        folder = os.environ.get("TIDEMILL_SECRETS_DIR", "/var/openfaas/secrets")

        def handle(event, context):
            if event.path == "/write":
                open(folder + "/new", "w")
            return open(folder + "/token", "rb").read()
        """,
        secrets={"token": str(secret)},
        uid=UID if os.geteuid() == 0 else None,
    )
    async with caller(slot) as http:
        assert (await http.get("/")).content == b"s3cr\x00et\n"
        if os.geteuid() == 0:
            assert (await http.get("/write")).status_code == 500
            assert not Path("/var/openfaas/secrets/token").exists()  # for that process only


@needs_root
async def test_function_has_a_user_of_its_own(functions: Functions) -> None:
    """uid, gid and groups are dropped for good; it owns its working directory and can still import."""
    slot = await functions.put(
        """
        import os, json

        def handle(event, context):
            import sqlite3, colorsys
            open("mine", "w").write("x")
            try:
                os.setuid(0)
                back = True
            except PermissionError:
                back = False
            status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
            return {"body": {
                "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(), "back": back,
                "home": os.environ["HOME"], "cwd": os.getcwd(), "nnp": status["NoNewPrivs"].strip(),
                "capabilities": status["CapEff"].strip(), "descriptors": sorted(os.listdir("/proc/self/fd")),
            }}
        """,
        uid=UID,
    )
    async with caller(slot) as http:
        found = (await http.get("/")).json()
    assert found["uids"] == found["gids"] == [UID, UID, UID] and found["groups"] == []
    assert not found["back"] and found["nnp"] == "1" and int(found["capabilities"], 16) == 0
    assert found["home"] == found["cwd"] and found["cwd"].startswith(str(functions.settings.data_dir))


async def test_function_sees_only_its_own_environment(functions: Functions) -> None:
    """The platform's variables stay out; the function's, its name and namespace are there."""
    slot = await functions.put(
        "import os\ndef handle(event, context):\n    return {'body': dict(os.environ), 'headers': {}}\n",
        environ={"GREETING": "hej"},
    )
    async with caller(slot) as http:
        found = (await http.get("/")).json()
    assert found["GREETING"] == "hej"
    assert found["OPENFAAS_NAME"] == slot.ref.split(".")[0] and found["OPENFAAS_NAMESPACE"] == "openfaas-fn"
    assert not [name for name in found if name.startswith(("TIDEMILL_", "PYTEST"))]


async def test_replicas_share_no_random_numbers(functions: Functions) -> None:
    """Two replicas of one zygote draw different numbers."""
    spec = functions.spec("import random\ndef handle(event, context):\n    return str(random.random())\n")
    drawn = set()
    for slot in await functions.client.put(spec, 2):
        async with caller(slot) as http:
            drawn.add((await http.get("/")).text)
    assert len(drawn) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a limit that can be set")
async def test_memory_limit_holds(functions: Functions) -> None:
    """A function that takes more than its limit fails or dies; its replica is replaced."""
    slot = await functions.put(
        'def handle(event, context):\n    return str(len(bytearray(int(event.query["mb"]) << 20)))\n',
        memory_bytes=128 << 20,
    )
    async with caller(slot) as http:
        assert (await http.get("/?mb=16")).status_code == 200
        try:
            answer = (await http.get("/?mb=1024")).status_code
        except Exception:
            answer = 500
        assert answer == 500
    async with caller(slot) as http:
        assert (await http.get("/?mb=16")).status_code == 200


@pytest.mark.skipif(cgroups.find("tidemill-tests").cpu is None, reason="no cgroup for CPU may be made here")
async def test_cpu_limit_holds(functions: Functions) -> None:
    """A tenth of a core for a busy half second of CPU takes far longer than half a second."""
    slot = await functions.put(
        """
        import time

        def handle(event, context):
            begun = time.monotonic()
            end = time.process_time() + 0.2
            while time.process_time() < end:
                pass
            return str(time.monotonic() - begun)
        """,
        cpu_cores=0.1,
    )
    async with caller(slot) as http:
        assert float((await http.get("/")).text) > 0.8


async def test_output_is_kept_with_the_calls_ids(functions: Functions) -> None:
    """print, logging, lib.log, child processes and a traceback: every line ends up as one JSON line of the log."""
    slot = await functions.put(
        """
        import logging, os, subprocess
        from tidemill.lib.log import get_logger

        def handle(event, context):
            print("printed")
            print('{"event": "own", "answer": 42}')
            logging.warning("warned")
            get_logger("fn").info("structured", answer=43)
            subprocess.run(["echo", "from a child"])
            raise ValueError("on purpose")
        """
    )
    async with caller(slot) as http:
        answer = await http.get("/", headers={"X-Call-Id": "call-7", "X-Correlation-Id": "user-7"})
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "the function raised ValueError; its log has the traceback",
        "code": "function_failed",
        "call_id": "call-7",
    }
    assert "X-OpenFaaS-Internal" not in answer.headers

    wait_until(lambda: functions.line(slot, "call"), "the call is logged")
    lines = functions.log(slot)
    by_text = {str(line.get("text", line["event"])): line for line in lines}
    assert {line["function"] for line in lines} == {slot.ref}
    assert len({line["instance"] for line in lines}) == 1
    assert by_text["printed"]["call_id"] == by_text["own"]["call_id"] == "call-7"
    assert by_text["own"]["answer"] == 42 and by_text["structured"]["answer"] == 43
    assert by_text["WARNING:root:warned"]["correlation_id"] == "user-7"
    assert by_text["from a child"]["stream"] == "stdout"
    assert "on purpose" in str(by_text["handler failed"]["traceback"])
    assert (by_text["call"]["status"], by_text["call"]["attempt"]) == (500, 1)
