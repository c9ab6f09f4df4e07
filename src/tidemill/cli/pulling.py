"""Templates that a stack file names by their source: fetched once with git, kept in the project's `template/`.

A source is a git URL, with `#NAME` (a branch or tag) or `#sha-COMMIT` behind it where one version is meant; the
repository holds `template/NAME/template.yml`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tidemill.cli.failures import Failure
from tidemill.cli.session import Project
from tidemill.cli.templates import TEMPLATE_FILE, template_names
from tidemill.contract.stack import TemplateSource

META_FILE = "meta.json"
"""What faas-cli writes beside a template that it fetched."""
SHA = "sha-"


def pull_missing(project: Project, note: Callable[[str], None]) -> None:
    """Fetches the templates that the functions need, the project lacks and the stack file has a source for.
    Raises Failure with git's last line."""
    needed = {function.lang for function in project.stack.functions.values() if function.builds}
    known = set(template_names(project.folder))
    for template in project.stack.templates:
        if template.name in needed - known and template.source:
            note(f"template {template.name}: fetching {template.source}")
            _pull(template, template.source, project.folder / "template" / template.name)


def split_source(source: str) -> tuple[str, str | None]:
    """The URL and the version behind `#`, if any."""
    url, _, version = source.partition("#")
    return url, version or None


def _pull(template: TemplateSource, source: str, target: Path) -> None:
    url, version = split_source(source)
    with tempfile.TemporaryDirectory(prefix="tidemill-template-") as folder:
        if version and version.startswith(SHA):
            _git("clone", "--quiet", "--no-checkout", "--", url, folder)
            _git("-C", folder, "checkout", "--quiet", "--detach", version.removeprefix(SHA))
        else:
            branch = ("--branch", version) if version else ()
            _git("clone", "--quiet", "--depth", "1", *branch, "--", url, folder)
        sha = _git("-C", folder, "rev-parse", "HEAD")
        found = Path(folder, "template", template.name)
        if not (found / TEMPLATE_FILE).is_file():
            raise Failure(f"{url} has no template {template.name}")
        meta = {"repository": url, "ref_name": version or "", "sha": sha, "written_at": datetime.now(UTC).isoformat()}
        (found / META_FILE).write_text(json.dumps(meta, indent=2) + "\n")
        target.parent.mkdir(exist_ok=True)
        shutil.move(found, target)


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as cause:
        hint = "install it, or put the template into template/ yourself"
        raise Failure("git is needed to fetch templates and is not on this machine", hint=hint) from cause
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"git ended with {done.returncode}"]
        raise Failure(f"the template cannot be fetched: {lines[-1]}")
    return done.stdout.strip()
