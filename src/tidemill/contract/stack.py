"""The stack file (stack.yml): which functions there are, how each is built, and what it is deployed with.

`parse_stack` reads a text and touches nothing else; `contract.stackfile` finds the files. Every field of OpenFaaS's
schema is read, an unknown key is an error with its line. Top-level keys that begin with `x-` are free for anchors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidemill.contract.envsubst import BadExpression, expand
from tidemill.contract.errors import BadRequest, BadStack
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.names import DEFAULT_NAMESPACE, FunctionRef
from tidemill.contract.stackyaml import Section, read_yaml
from tidemill.contract.tuning import ROUTE, Tuning
from tidemill.contract.units import parse_cpu_cores, parse_memory_bytes

TOP_KEYS = ("version", "provider", "functions", "configuration")
FUNCTION_KEYS = (
    "lang",
    "handler",
    "image",
    "fprocess",
    "skip_build",
    "namespace",
    "environment",
    "environment_file",
    "secrets",
    "constraints",
    "labels",
    "annotations",
    "limits",
    "requests",
    "readonly_root_filesystem",
    "build_options",
    "build_args",
    "build_secrets",
    "platforms",
)
_QUANTITIES = {"memory": parse_memory_bytes, "cpu": parse_cpu_cores}
_GPUS = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu")


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """Where a template comes from that is not in the project: a git URL, `#tag` or `#sha-commit` behind it."""

    name: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line adds to every function."""

    env_vars: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class StackFunction:
    """One entry under `functions:`."""

    name: str
    line: int
    lang: str | None = None
    handler: str | None = None
    """Folder of the handler, relative to the project."""
    image: str | None = None
    fprocess: str | None = None
    skip_build: bool = False
    namespace: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_files: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] | None = None
    requests: Mapping[str, str] | None = None
    readonly_root_filesystem: bool = False
    build_options: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    build_secrets: Mapping[str, str] = field(default_factory=dict)
    platforms: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where each key of environment, labels and annotations stands."""

    @property
    def builds(self) -> bool:
        """Whether there is source to build; else the image is deployed as it is named."""
        return self.handler is not None and not self.skip_build

    @property
    def build_image(self) -> str:
        """The name that the build gives its image."""
        return self.image or f"{self.name}:latest"

    def with_environment(self, *layers: Mapping[str, str]) -> StackFunction:
        """Each layer wins over those before it."""
        merged = dict(self.environment)
        for layer in layers:
            merged.update(layer)
        return replace(self, environment=merged)

    def deployment(self, image: str, overrides: Overrides | None = None) -> FunctionDeployment:
        """What is sent to the platform. Secrets are united, variables, labels and annotations of the command line
        win, constraints of the file win, and the namespace is the command line's, else the file's."""
        over = overrides or Overrides()
        return FunctionDeployment(
            service=self.name,
            image=image,
            namespace=over.namespace or self.namespace or DEFAULT_NAMESPACE,
            env_process=self.fprocess,
            env_vars={**self.environment, **over.env_vars},
            constraints=self.constraints or over.constraints,
            secrets=tuple(dict.fromkeys((*self.secrets, *over.secrets))),
            labels={**self.labels, **over.labels},
            annotations={**self.annotations, **over.annotations},
            limits=self.limits,
            requests=self.requests,
            read_only_root_filesystem=self.readonly_root_filesystem,
        )


@dataclass(frozen=True, slots=True)
class Stack:
    """A whole stack file."""

    file: str
    functions: Mapping[str, StackFunction]
    gateway: str | None = None
    templates: tuple[TemplateSource, ...] = ()
    copy: tuple[str, ...] = ()
    """Paths copied into each handler's folder, under the same relative path."""


def parse_stack(text: str, *, file: str, environ: Mapping[str, str] | None = None) -> Stack:
    """Raises BadStack naming the line. `environ` fills `${VAR}` expressions; None leaves them as they are."""
    if environ is not None:
        try:
            text = expand(text, environ)
        except BadExpression as cause:
            raise BadStack(str(cause), file=file, line=cause.line) from cause
    top = read_yaml(text, file=file)
    top.only((*TOP_KEYS, *(key for key in top if key.startswith("x-"))))
    if (version := top.text("version")) not in (None, "1.0"):
        raise top.error(f'version {version} is unknown, only "1.0" is', "version")
    provider = top.section("provider").only(("name", "gateway", "network"))
    if (name := provider.text("name")) not in (None, "openfaas"):
        raise provider.error(f"provider.name must be openfaas, not {name}", "name")
    configuration = top.section("configuration").only(("templates", "copy"))
    return Stack(
        file=file,
        functions=_functions(top),
        gateway=provider.text("gateway"),
        templates=tuple(_template(each) for each in configuration.sections("templates")),
        copy=configuration.words("copy"),
    )


def parse_environment(text: str, *, file: str) -> dict[str, str]:
    """An environment file: one mapping under `environment:`. Raises BadStack."""
    return read_yaml(text, file=file).only(("environment",)).strings("environment")


def check_deployments(stack: Stack, overrides: Overrides | None = None) -> None:
    """Refuses what the platform would refuse: unreadable tuning, and two functions on one route. The line is that of
    the key at fault where the file has it, else that of the function. Raises BadStack."""
    claimed: list[tuple[str, Tuning]] = []
    for function in stack.functions.values():
        try:
            deployment = function.deployment(function.build_image, overrides)
            _ = deployment.ref
            tuning = Tuning.of(deployment)
        except BadRequest as cause:
            line = _line_at_fault(function, str(cause))
            message = f"functions.{function.name}: {cause}"
            raise BadStack(message, file=stack.file, line=line, hint=cause.hint) from cause
        for other, theirs in claimed:
            for route in tuning.routes:
                if any(route.clashes(held) for held in theirs.routes):
                    line = function.lines.get(ROUTE, function.line)
                    message = f'functions.{function.name}: route "{route}" is already held by {other}'
                    raise BadStack(message, file=stack.file, line=line)
        claimed.append((function.name, tuning))


def _line_at_fault(function: StackFunction, message: str) -> int:
    """Messages about tuning begin with the key; those about routes with the word."""
    key = ROUTE if message.startswith("route ") else message.replace(":", " ").split()[0]
    return function.lines.get(key, function.line)


def _functions(top: Section) -> dict[str, StackFunction]:
    functions = top.section("functions")
    if not list(functions):
        raise top.error(
            "there are no functions", "functions", hint="add one with: tidemill new NAME --lang python3-http"
        )
    return {name: _function(name, functions) for name in functions}


def _function(name: str, functions: Section) -> StackFunction:
    section = functions.section(name).only(FUNCTION_KEYS)
    try:
        FunctionRef(name)
    except BadRequest as cause:
        raise functions.error(str(cause), name) from cause
    maps = {key: section.section(key) for key in ("environment", "labels", "annotations")}
    function = StackFunction(
        name=name,
        line=functions.line_of(name),
        lang=section.text("lang"),
        handler=section.text("handler"),
        image=section.text("image"),
        fprocess=section.text("fprocess"),
        skip_build=section.flag("skip_build"),
        namespace=_namespace(section),
        environment=section.strings("environment"),
        environment_files=section.words("environment_file"),
        secrets=section.words("secrets"),
        constraints=section.words("constraints"),
        labels=section.strings("labels"),
        annotations=section.strings("annotations"),
        limits=_resources(section, "limits"),
        requests=_resources(section, "requests"),
        readonly_root_filesystem=section.flag("readonly_root_filesystem"),
        build_options=section.words("build_options"),
        build_args=section.strings("build_args"),
        build_secrets=section.strings("build_secrets"),
        platforms=section.text("platforms"),
        lines={key: part.line_of(key) for part in maps.values() for key in part},
    )
    if function.builds and not function.lang:
        raise section.error(f"functions.{name} has a handler but no lang", "handler", hint="add lang: python3-http")
    if not function.builds and not function.image:
        raise functions.error(f"functions.{name} has neither a handler to build nor an image", name)
    return function


def _namespace(section: Section) -> str | None:
    namespace = section.text("namespace")
    if namespace:
        try:
            FunctionRef("any", namespace)
        except BadRequest as cause:
            raise section.error(f"{section.name}: {cause}", "namespace") from cause
    return namespace


def _resources(section: Section, key: str) -> dict[str, str] | None:
    resources = section.section(key).only((*_QUANTITIES, *_GPUS))
    values = {name: value for name, value in section.strings(key).items() if value}
    for name, parse in _QUANTITIES.items():
        if name in values:
            try:
                parse(values[name])
            except ValueError as cause:
                raise resources.error(f"{resources.path(name)}: {cause}", name) from cause
    return values or None


def _template(section: Section) -> TemplateSource:
    section.only(("name", "source"))
    name = section.text("name")
    if not name:
        raise section.error(f"{section.name} has no name")
    return TemplateSource(name, section.text("source"))
