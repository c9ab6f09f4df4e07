"""up, down, status, doctor: the platform on this machine."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli import options
from tidemill.cli.failures import BadUsage, Failure, Unreachable
from tidemill.cli.output import Output
from tidemill.cli.session import Project, connect_local, local_settings, open_project
from tidemill.lib.settings import Settings

if TYPE_CHECKING:
    from tidemill.embedded.launch import Status
    from tidemill.embedded.parts import Part

PHOTOS = Path("examples/photos")

Port = Annotated[int | None, typer.Option(min=1, max=65535, metavar="PORT")]


def up(
    file: options.StackFile = None,
    deploy: Annotated[bool, typer.Option("--deploy/--no-deploy", help="Deploy the stack file, if any.")] = True,
    demo: Annotated[bool, typer.Option("--demo", help="Then run the main job on real photographs.")] = False,
    data_dir: options.DataDir = None,
    bind: Annotated[str | None, typer.Option("--bind", metavar="ADDRESS", help="Else 127.0.0.1.")] = None,
    gateway_port: Port = None,
    metrics_port: Port = None,
    nats_port: Port = None,
    mongo_port: Port = None,
    s3_port: Port = None,
    environment: options.Environment = None,
    envsubst: options.Envsubst = "true",
    as_json: options.Json = False,
) -> None:
    """Start the platform and deploy the stack file. It runs in the background; where everything is is told."""
    from tidemill.embedded import launch

    output = Output(as_json=as_json)
    project = _project(file, deploy=deploy, demo=demo, environment=environment, expand=envsubst == "true")
    asked: dict[str, Any] = {
        "bind_host": bind,
        "gateway_port": gateway_port,
        "metrics_port": metrics_port,
        "nats_port": nats_port,
        "mongo_port": mongo_port,
        "s3_port": s3_port,
    }
    settings = replace(local_settings(data_dir), **{key: value for key, value in asked.items() if value is not None})

    def progress(step: str, detail: str = "") -> None:
        output.note(f"{step}: {detail}" if detail else step)

    launch.prepare(settings, progress)
    launch.start(settings, progress)
    deployed = _deploy(output, settings, project) if project else []
    if as_json:
        status = launch.status(settings)
        output.result({**_addresses(settings), **_status_wire(status), "functions": deployed})
    _say_where(output, settings)
    if failed := [str(each["name"]) for each in deployed if each["status"] == "failed"]:
        raise Failure(f"the platform runs, but could not deploy {', '.join(failed)}")
    if demo and project:
        _run_demo(output, settings, project)


def down(data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """Stop the platform. What was acknowledged is kept, and queued calls go on at the next start."""
    from tidemill.embedded import launch

    output = Output(as_json=as_json)
    settings = local_settings(data_dir)
    was_running = launch.status(settings).running
    launch.stop(settings, lambda step, detail="": output.note(f"{step}: {detail}" if detail else step))
    if as_json:
        output.result({"was_running": was_running})
    output.note("stopped" if was_running else f"nothing was running for {settings.data_dir}")


def status(data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """Show what runs, since when, with how much memory, and the URLs. Exit code 5 where not all of it is ready."""
    from tidemill.embedded import launch

    output = Output(as_json=as_json)
    settings = local_settings(data_dir)
    now = launch.status(settings, with_memory=True)
    if as_json:
        output.result({**_addresses(settings), **_status_wire(now)})
    elif now.running:
        _show_services(output, now)
        _say_where(output, settings)
    else:
        output.note(f"the platform does not run for {settings.data_dir}; start it with: tidemill up")
        output.note(f"one that was started in another folder is seen from there, or with --data-dir {_data_above()}")
    if not now.ready:
        raise typer.Exit(Unreachable.exit_code)


def doctor(data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """Show what the platform needs and what this machine has. Exit code 1 where it cannot run."""
    from tidemill.cli.examine import examine
    from tidemill.embedded import launch

    output = Output(as_json=as_json)
    settings = local_settings(data_dir)
    parts = launch.requirements(settings)
    findings = examine(settings, running=launch.status(settings).running)
    if as_json:
        told = [{**asdict(part), "ok": part.ok} for part in parts]
        output.result({"parts": told, "machine": [asdict(finding) for finding in findings]})
    else:
        for part in parts:
            _show_part(output, part)
        for finding in findings:
            mark = "ok" if not finding.problem else "MISSING"
            output.line(f"{mark:<8}{finding.name}: {finding.problem or finding.found}")
            if finding.hint:
                output.line(f"{'':8}{finding.hint}")
    lacking = [part.name for part in parts if not part.ok and not part.installable]
    lacking += [finding.name for finding in findings if finding.problem]
    if lacking:
        raise Failure(f"the platform cannot run here: {', '.join(lacking)}")


def _project(file: str | None, *, deploy: bool, demo: bool, environment: str | None, expand: bool) -> Project | None:
    """Read before anything is started: a mistake in the stack file is told at once."""
    from tidemill.contract.stack import check_deployments
    from tidemill.contract.stackfile import find_stack_file

    if not deploy or (file is None and find_stack_file(Path()) is None):
        if demo:
            raise BadUsage("--demo needs the sample application's stack file", hint="run it in Tidemill's checkout")
        return None
    project = open_project(file, envsubst=expand, environment=environment)
    check_deployments(project.stack)
    return project


def _deploy(output: Output, settings: Settings, project: Project) -> list[dict[str, Any]]:
    from tidemill.cli.deploying import deploy_all
    from tidemill.cli.progress import shown

    with connect_local(settings) as client, shown(output) as report:
        return [outcome.as_wire() for outcome in deploy_all(client, project, report)]


def _run_demo(output: Output, settings: Settings, project: Project) -> None:
    from rich.console import Console

    from tidemill.cli import demo
    from tidemill.lib.auth import Credentials

    photos = project.folder / PHOTOS
    if not photos.is_dir():
        raise BadUsage(f"there are no photographs in {photos}", hint="run --demo in Tidemill's checkout")
    console = Console(stderr=output.as_json)
    if not demo.run(settings.gateway_url, Credentials.load(settings.secrets_dir).header, photos, console):
        raise Failure("the demonstration did not end as it should; what went wrong is told above")


def _addresses(settings: Settings) -> dict[str, Any]:
    from tidemill.lib.auth import PASSWORD_FILE, USER_FILE

    return {
        "gateway": settings.gateway_url,
        "metrics": f"http://{settings.bind_host}:{settings.metrics_port}/metrics",
        "data_dir": str(settings.data_dir),
        "user_file": str(settings.secrets_dir / USER_FILE),
        "password_file": str(settings.secrets_dir / PASSWORD_FILE),
    }


def _status_wire(now: Status) -> dict[str, Any]:
    return {
        "running": now.running,
        "ready": now.ready,
        "pid": now.pid,
        "services": [asdict(service) for service in now.services],
    }


def _say_where(output: Output, settings: Settings) -> None:
    from tidemill.embedded.separation import REMEDY, why_as_root
    from tidemill.lib.auth import Credentials

    if output.as_json:
        return
    told = _addresses(settings)
    output.pairs(
        (
            ("gateway", told["gateway"]),
            ("metrics", told["metrics"]),
            ("user", Credentials.load(settings.secrets_dir).user),
            ("password", f"cat {told['password_file']}"),
            ("data", told["data_dir"]),
            ("command", _how_to_find_the_command()),
            ("stop", "tidemill down"),
        )
    )
    if reason := why_as_root(settings):
        output.note(f"warning: {reason}\n  hint: {REMEDY}")


def _data_above() -> Path | str:
    """Where a folder above this one has a platform's data."""
    above = (folder / ".tidemill" for folder in Path.cwd().parents)
    return next((folder for folder in above if (folder / "supervisor.lock").exists()), "FOLDER")


def _how_to_find_the_command() -> str:
    """What the shell lacks for `tidemill` to be found, as after `make up`; empty where it finds it."""
    import shutil
    import sys

    return "" if shutil.which("tidemill") else f'export PATH="{Path(sys.executable).parent}:$PATH"'


def _show_services(output: Output, now: Status) -> None:
    rows = [
        (
            service.name,
            service.state,
            str(service.pid or ""),
            str(service.restarts),
            f"{service.memory_bytes / 2**20:.1f} MiB" if service.memory_bytes is not None else "",
            service.since,
        )
        for service in now.services
    ]
    total = sum(service.memory_bytes or 0 for service in now.services)
    rows.append(("all", "ready" if now.ready else "not ready", str(now.pid), "", f"{total / 2**20:.1f} MiB", ""))
    output.table(("PART", "STATE", "PID", "RESTARTS", "MEMORY", "SINCE"), rows, empty="nothing runs")
    for service in now.services:
        if service.reason:
            output.note(f"{service.name}: {service.reason}")
        for line in service.last_lines if service.state != "ready" else ():
            output.note(f"  {line}")


def _show_part(output: Output, part: Part) -> None:
    version = f" {part.version}" if part.version else ""
    where = f" ({part.where})" if part.where else ""
    if part.ok:
        output.line(f"ok      {part.name}: {part.engine}{version}{where}")
    else:
        output.line(f"{'later' if part.installable else 'MISSING':<8}{part.name}: {part.problem}")
        output.line(f"{'':8}needs {part.needs}")
        remedy = "`tidemill up` gets it by itself" if part.installable else part.hint
        output.line(f"{'':8}{remedy}")
    if part.durability:
        output.line(f"{'':8}acknowledged writes: {part.durability}")
