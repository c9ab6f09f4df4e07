"""deploy, remove, list, describe, scale."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World


def test_deploy_builds_and_deploys_every_function(tidemill: Tidemill, world: World) -> None:
    """The reference that the builder answers is what is deployed; the template and the handler are in the context."""
    done = tidemill("deploy", "--json")
    assert done.code == 0, done.err
    assert [(each["name"], each["status"], each["image"]) for each in done.json["functions"]] == [
        ("hello", "deployed", "tidemill.local/hello:1@sha256:1"),
        ("world", "deployed", "tidemill.local/world:1@sha256:1"),
    ]
    assert world.functions["hello"]["image"] == "tidemill.local/hello:1@sha256:1"
    assert world.contexts["hello:1"] == [
        "com.openfaas.docker.config",
        "context/function/handler.py",
        "context/function/requirements.txt",
        "context/index.py",
        "context/template.yml",
    ]


def test_a_new_function_is_put_then_posted_and_a_known_one_put(tidemill: Tidemill, world: World) -> None:
    """As faas-cli does: PUT first, POST where that says 404."""
    tidemill("deploy", "hello")
    tidemill("deploy", "hello")
    methods = [method for method, path, _ in world.requests if path == "/system/functions"]
    assert methods == ["PUT", "POST", "PUT"]


def test_one_failure_does_not_stop_the_others(tidemill: Tidemill, world: World) -> None:
    """Its reason is told, the exit code is 1, and the rest is deployed."""
    world.broken_builds.add("hello:1")
    done = tidemill("deploy", "--json")
    assert done.code == 1
    failed, deployed = done.json["functions"]
    assert (failed["status"], failed["error"]["error"]) == ("failed", "no such package: nothing")
    assert deployed["status"] == "deployed"
    assert list(world.functions) == ["world"]
    assert done.error["error"] == "1 of 2 functions could not be deployed: hello"


def test_the_platforms_reason_is_the_users(tidemill: Tidemill, world: World) -> None:
    """A version that does not become ready: its last line is what is printed."""
    done = tidemill("deploy", "hello", "--annotation", "broken=yes")
    assert done.code == 1
    assert "hello: failed: ImportError: no module named nothing" in done.err


def test_flags_reach_the_deployment(tidemill: Tidemill, world: World) -> None:
    """Variables, labels, annotations, secrets and the namespace of the command line."""
    arguments = [
        "-e",
        "A=1=2",
        "--label",
        "b=2",
        "--annotation",
        "c=3",
        "--secret",
        "s",
        "-n",
        "shop",
        "--filter",
        "h*",
    ]
    assert tidemill("deploy", *arguments).code == 0
    assert list(world.functions) == ["hello"]
    hello = world.functions["hello"]
    assert (hello["envVars"], hello["labels"], hello["annotations"]) == ({"A": "1=2"}, {"b": "2"}, {"c": "3"})
    assert (hello["secrets"], hello["namespace"]) == (["s"], "shop")


def test_an_image_is_deployed_as_it_is(tidemill: Tidemill, world: World) -> None:
    """`--image` needs neither stack file nor build."""
    assert tidemill("deploy", "other", "--image", "ghcr.io/x/other:2").code == 0
    assert world.functions["other"]["image"] == "ghcr.io/x/other:2"
    assert world.contexts == {}


def test_an_environment_is_chosen(tidemill: Tidemill, world: World, project: Path) -> None:
    """Its file adds variables, and TIDEMILL_ENV in the stack file means it."""
    (project / "config").mkdir()
    (project / "config/dev.yml").write_text("environment: {LEVEL: debug}\n")
    text = (project / "stack.yml").read_text()
    (project / "stack.yml").write_text(text + "    labels: {stage: '${TIDEMILL_ENV:-none}'}\n")
    assert tidemill("deploy", "world", "--environment", "dev").code == 0
    assert world.functions["world"]["envVars"] == {"LEVEL": "debug"}
    assert world.functions["world"]["labels"] == {"stage": "dev"}
    assert tidemill("deploy", "world", "--envsubst", "false").code == 0
    assert world.functions["world"]["labels"] == {"stage": "${TIDEMILL_ENV:-none}"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "has no function nobody"),
        (["--filter", "x*"], "no function in stack.yml matches"),
        (["--filter", "h*", "--regex", "h"], "cannot be used together"),
        (["--regex", "("], "not a regular expression"),
        (["--env", "novalue"], "--env novalue is not NAME=VALUE"),
        (["-f", "missing.yml"], "missing.yml: the file cannot be read"),
        (["--environment", "moon"], "there is no environment moon"),
        (["--env", "exec_timeout=soon"], "stack.yml:5: functions.hello: exec_timeout"),
    ],
)
def test_wrong_use_is_told_before_anything_is_sent(
    tidemill: Tidemill, world: World, arguments: list[str], says: str
) -> None:
    """Exit code 2, one sentence, no request."""
    done = tidemill("deploy", *arguments)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert world.requests == []


def test_a_bad_stack_file_names_the_line(tidemill: Tidemill, world: World, project: Path) -> None:
    """With --json the same sentence is JSON on standard error, with the platform's code and the exit code."""
    (project / "stack.yml").write_text("functions:\n  a:\n    lang: x\n    handlr: ./a\n")
    done = tidemill("deploy", "--json")
    assert done.out == ""
    assert done.error == {
        "error": "stack.yml:4: unknown key functions.a.handlr",
        "code": "bad_stack",
        "exit_code": 2,
        "hint": "did you mean handler?",
    }


def test_a_gateway_that_is_away(tidemill: Tidemill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 5 and what to do."""
    monkeypatch.setenv("OPENFAAS_URL", "http://127.0.0.1:9")
    done = tidemill("deploy", "--json")
    assert done.code == 5
    assert done.error["code"] == "unreachable"
    assert "tidemill up" in done.error["hint"]


def test_what_is_no_gateway(tidemill: Tidemill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another web server on that port: its page is not printed as if it were a sentence."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    try:
        monkeypatch.setenv("OPENFAAS_URL", f"http://127.0.0.1:{server.server_address[1]}")
        done = tidemill("list")
    finally:
        server.shutdown()
        server.server_close()
    assert done.code == 3
    assert "it is no gateway" in done.err
    assert "<html" not in done.err


def test_a_refused_login(tidemill: Tidemill, world: World, tmp_path: Path) -> None:
    """Exit code 4; nothing is built."""
    (tmp_path / "data/secrets/basic-auth-password").write_text("wrong")
    done = tidemill("deploy")
    assert done.code == 4
    assert "invalid credentials" in done.err
    assert world.contexts == {}


def test_remove(tidemill: Tidemill, world: World) -> None:
    """By name, or all of the stack file; what is not there is exit code 3."""
    tidemill("deploy")
    assert tidemill("remove", "hello").code == 0
    done = tidemill("remove", "--json")
    assert done.code == 3
    assert done.json == {"removed": ["world"], "missing": ["hello"]}
    assert world.functions == {}


def test_list_and_describe(tidemill: Tidemill, world: World) -> None:
    """Tab-separated for scripts, names with -q, the platform's own JSON with --json."""
    tidemill("deploy", "--label", "a=b")
    assert tidemill("list", "-q").out == "hello\nworld\n"
    assert tidemill("list").out.splitlines()[1].split("\t") == ["hello", "1/1", "7", "2026-01-01T00:00:00Z"]
    assert [each["name"] for each in tidemill("list", "--json").json] == ["hello", "world"]
    told = tidemill("describe", "hello")
    assert f"{world.url}/function/hello" in told.out
    assert "a=b" in told.out
    assert tidemill("describe", "hello", "--json").json["asyncUrl"] == f"{world.url}/async-function/hello"


def test_an_unknown_function(tidemill: Tidemill, world: World) -> None:
    """Exit code 3, the platform's sentence and code, and the call's id."""
    done = tidemill("describe", "nobody", "--json")
    assert done.code == 3
    assert done.error["code"] == "function_not_found"
    assert done.error["call_id"] == "c-9"
    assert "(call c-9)" in tidemill("describe", "nobody").err


def test_scale(tidemill: Tidemill, world: World) -> None:
    """Zero is a number of replicas; less is none."""
    tidemill("deploy", "hello")
    assert tidemill("scale", "hello", "0").code == 0
    assert world.functions["hello"]["replicas"] == 0
    assert tidemill("scale", "hello", "many").code == 2
