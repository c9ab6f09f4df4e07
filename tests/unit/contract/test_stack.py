"""The stack file: every field, what is refused and on which line."""

from dataclasses import replace
from typing import Any

import pytest

from tidemill.contract.errors import BadStack
from tidemill.contract.stack import Overrides, Stack, StackFunction, TemplateSource, check_deployments, parse_stack

FULL = """\
version: 1.0
provider:
  name: openfaas
  gateway: http://gateway.example:8080
functions:
  hello:
    lang: python3-http
    handler: ./hello
    image: ${REGISTRY:-local}/hello:1
    fprocess: python index.py
    skip_build: false
    namespace: shop
    environment:
      DEBUG: true
      RATIO: 1.50
      NOTHING:
    environment_file:
      - one.yml
      - two.yml
    secrets: [token]
    constraints:
      - node=ssd
    labels:
      com.openfaas.scale.max: 3
      canary: yes
    annotations:
      com.tidemill.route: GET /hello/{name}
    limits:
      memory: 128Mi
      cpu: 100m
    requests:
      memory: 64Mi
    readonly_root_filesystem: true
    build_options: [dev]
    build_args:
      TEST_ENABLED: "false"
    build_secrets:
      pip: ./pip.conf
    platforms: linux/amd64,linux/arm64
configuration:
  templates:
    - name: python3-http
      source: https://git.example/templates#v1
    - name: node20
  copy:
    - ./shared
"""


def parse(text: str, **options: Any) -> Stack:
    return parse_stack(text, file="stack.yml", **options)


def functions(body: str) -> str:
    return "functions:\n  hello:\n    lang: python3-http\n    handler: ./hello\n" + body


def test_every_field_is_read() -> None:
    """Nothing of OpenFaaS's schema is dropped, and scalars keep the spelling that the author gave them."""
    stack = parse(FULL, environ={})
    hello = stack.functions["hello"]
    assert replace(hello, lines={}) == StackFunction(
        name="hello",
        line=6,
        lang="python3-http",
        handler="./hello",
        image="local/hello:1",
        fprocess="python index.py",
        namespace="shop",
        environment={"DEBUG": "true", "RATIO": "1.50", "NOTHING": ""},
        environment_files=("one.yml", "two.yml"),
        secrets=("token",),
        constraints=("node=ssd",),
        labels={"com.openfaas.scale.max": "3", "canary": "yes"},
        annotations={"com.tidemill.route": "GET /hello/{name}"},
        limits={"memory": "128Mi", "cpu": "100m"},
        requests={"memory": "64Mi"},
        readonly_root_filesystem=True,
        build_options=("dev",),
        build_args={"TEST_ENABLED": "false"},
        build_secrets={"pip": "./pip.conf"},
        platforms="linux/amd64,linux/arm64",
    )
    assert hello.lines["com.tidemill.route"] == 27
    assert (stack.gateway, stack.copy) == ("http://gateway.example:8080", ("./shared",))
    assert stack.templates == (
        TemplateSource("python3-http", "https://git.example/templates#v1"),
        TemplateSource("node20", None),
    )


def test_expansion_can_be_switched_off() -> None:
    """`--envsubst=false`: the text is taken as it is."""
    assert parse(FULL, environ=None).functions["hello"].image == "${REGISTRY:-local}/hello:1"


def test_a_deployment_carries_what_the_platform_needs() -> None:
    """The file's fields arrive under the wire's names."""
    wire = parse(FULL, environ={}).functions["hello"].deployment("tidemill.local/hello@sha256:0").as_wire()
    assert wire == {
        "service": "hello",
        "image": "tidemill.local/hello@sha256:0",
        "namespace": "shop",
        "envProcess": "python index.py",
        "envVars": {"DEBUG": "true", "RATIO": "1.50", "NOTHING": ""},
        "constraints": ["node=ssd"],
        "secrets": ["token"],
        "labels": {"com.openfaas.scale.max": "3", "canary": "yes"},
        "annotations": {"com.tidemill.route": "GET /hello/{name}"},
        "limits": {"memory": "128Mi", "cpu": "100m"},
        "requests": {"memory": "64Mi"},
        "readOnlyRootFilesystem": True,
    }


def test_the_command_line_against_the_file() -> None:
    """Variables, labels, annotations and namespace of the command line win, secrets unite, the file's constraints
    win."""
    over = Overrides(
        env_vars={"DEBUG": "false", "NEW": "1"},
        labels={"canary": "no"},
        annotations={"topic": "a"},
        secrets=("other", "token"),
        constraints=("node=hdd",),
        namespace="dev",
    )
    hello = parse(FULL, environ={}).functions["hello"]
    deployment = hello.deployment("i", over)
    assert deployment.env_vars == {"DEBUG": "false", "RATIO": "1.50", "NOTHING": "", "NEW": "1"}
    assert deployment.labels["canary"] == "no"
    assert deployment.annotations["topic"] == "a"
    assert deployment.secrets == ("token", "other")
    assert deployment.constraints == ("node=ssd",)
    assert deployment.namespace == "dev"
    assert replace(hello, constraints=()).deployment("i", over).constraints == ("node=hdd",)
    assert replace(hello, namespace=None).deployment("i").namespace == "openfaas-fn"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("functions: [\n", 2, "expected"),
        ("a: b: c\n", 1, "mapping values"),
        ("- list\n", 1, "mapping"),
        ("", 1, "no functions"),
        ("version: 2.0\nfunctions:\n  a:\n", 1, "version 2.0"),
        ("provider:\n  name: faas\nfunctions:\n", 2, "provider.name"),
        ("provider:\n  nam: openfaas\n", 2, "unknown key provider.nam"),
        ("functons:\n  a:\n", 1, "unknown key functons"),
        ("functions:\n  a:\n    image: x\n  a:\n    image: y\n", 4, "stands twice, first in line 2"),
        ("functions:\n  Big_Name:\n    image: x\n", 2, "DNS label"),
        ("functions:\n  a:\n    image: x\n  b:\n", 4, "neither a handler"),
        ("functions:\n  a:\n    handler: ./a\n", 3, "no lang"),
        (functions("    anotations:\n      a: b\n"), 5, "unknown key functions.hello.anotations"),
        (functions("    namespace: No\n"), 5, "DNS label"),
        (functions("    skip_build: maybe\n"), 5, "true or false"),
        (functions("    secrets: token\n"), 5, "must be a list"),
        (functions("    secrets:\n      - a\n      - [b]\n"), 7, "must be text"),
        (functions("    labels:\n      a:\n        b: c\n"), 7, "must be text"),
        (functions("    environment: [A]\n"), 5, "must be a mapping"),
        (functions("    limits:\n      memory: lots\n"), 6, "limits.memory"),
        (functions("    limits:\n      cpu: 1\n      disk: 1Gi\n"), 7, "unknown key"),
        (functions("configuration:\n  templates:\n    - source: x\n"), 7, "has no name"),
        (functions("    image: ${OPEN\n"), 5, "no closing brace"),
        (functions("    <<: 5\n"), 5, "<< takes a mapping"),
        ("? [a]\n: b\n", 1, "plain text"),
        (functions("configuration:\n  templates: node20\n"), 6, "must be a list"),
    ],
)
def test_a_mistake_names_its_line(text: str, line: int, says: str) -> None:
    """The message begins with file:line and says what is wrong there."""
    with pytest.raises(BadStack) as caught:
        parse(text, environ={})
    assert str(caught.value).startswith(f"stack.yml:{line}: ")
    assert says in str(caught.value)
    assert caught.value.line == line


def test_what_is_no_yaml_at_all() -> None:
    """A binary file has no lines to name."""
    with pytest.raises(BadStack, match="this is not YAML") as caught:
        parse("functions: \x07\n")
    assert caught.value.line is None


def test_a_misspelt_key_is_answered_with_the_right_one() -> None:
    """The nearest known key is the hint."""
    with pytest.raises(BadStack) as caught:
        parse(functions("    enviroment:\n      A: b\n"), environ={})
    assert caught.value.hint == "did you mean environment?"


def test_anchors_and_merges() -> None:
    """What several functions share may be written once, under a key that begins with x-."""
    stack = parse(
        "x-common: &common\n  lang: python3-http\n  labels: {a: 1}\n"
        "functions:\n  one:\n    <<: *common\n    handler: ./one\n    labels: {b: 2}\n"
    )
    assert stack.functions["one"].lang == "python3-http"
    assert stack.functions["one"].labels == {"b": "2"}
    several = parse(
        "x-a: &a {lang: first, image: a}\nx-b: &b {lang: second, namespace: b}\n"
        "functions:\n  one:\n    <<: [*a, *b]\n    handler: ./one\n"
    ).functions["one"]
    assert (several.lang, several.image, several.namespace) == ("first", "a", "b")


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("    environment:\n      exec_timeout: soon\n", 6, "exec_timeout"),
        ("    labels:\n      com.openfaas.scale.min: -1\n", 6, "scale.min"),
        ("    labels:\n      com.openfaas.scale.min: 5\n      com.openfaas.scale.max: 2\n", 6, "above"),
        ("    annotations:\n      com.tidemill.route: GET items\n", 6, "must start with /"),
        ("    annotations:\n      a: b\n      com.openfaas.retry.codes: often\n", 7, "retry.codes"),
    ],
)
def test_tuning_is_checked_before_anything_is_sent(body: str, line: int, says: str) -> None:
    """What the platform would refuse is told with the line it stands in."""
    with pytest.raises(BadStack, match=says) as caught:
        check_deployments(parse(functions(body)))
    assert caught.value.line == line


def test_two_functions_on_one_route_are_refused() -> None:
    """Both are named, and the line is that of the second."""
    route = "    annotations: {com.tidemill.route: 'GET /a/{x}'}\n"
    text = functions(route) + "  other:\n    image: x\n" + route.replace("{x}", "{y}")
    with pytest.raises(BadStack, match=r"functions\.other.*already held by hello") as caught:
        check_deployments(parse(text))
    assert caught.value.line == 8


def test_bad_tuning_from_the_command_line_names_the_function() -> None:
    """A flag has no line; the function's own is given."""
    with pytest.raises(BadStack, match="max_inflight") as caught:
        check_deployments(parse(functions("")), Overrides(env_vars={"max_inflight": "many"}))
    assert caught.value.line == 2
