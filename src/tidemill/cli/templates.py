"""Language templates: the project's own `template/` first, then those that come with Tidemill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tidemill.cli.failures import BadUsage
from tidemill.contract.errors import BadStack
from tidemill.contract.stackyaml import read_yaml

TEMPLATE_FILE = "template.yml"
DEFAULT_HANDLER_FOLDER = "function"
_PACKAGE = Path(__file__).resolve().parents[1]
BUILT_IN = (_PACKAGE.parents[1] / "template", _PACKAGE / "template")
"""Of a checkout, and of an installed package."""


@dataclass(frozen=True, slots=True)
class Template:
    """One language template."""

    name: str
    folder: Path
    handler_folder: str
    """Where the handler goes, inside the template."""
    packages: dict[str, tuple[str, ...]]
    """What each build option adds to ADDITIONAL_PACKAGE."""
    welcome: str


def find_template(name: str, project: Path) -> Template:
    """Raises BadUsage naming the templates there are."""
    for root in _roots(project):
        if (root / name / TEMPLATE_FILE).is_file():
            return _read(name, root / name)
    known = ", ".join(template_names(project)) or "none"
    raise BadUsage(f"there is no template {name}", hint=f"templates here: {known}; put yours into template/{name}/")


def template_names(project: Path) -> list[str]:
    return sorted({path.parent.name for root in _roots(project) for path in root.glob(f"*/{TEMPLATE_FILE}")})


def _roots(project: Path) -> tuple[Path, ...]:
    return (project / "template", *BUILT_IN)


def _read(name: str, folder: Path) -> Template:
    file = folder / TEMPLATE_FILE
    section = read_yaml(file.read_text(encoding="utf-8"), file=str(file))
    handler_folder = section.text("handler_folder") or DEFAULT_HANDLER_FOLDER
    if Path(handler_folder).is_absolute() or ".." in Path(handler_folder).parts:
        line = section.line_of("handler_folder")
        raise BadStack("handler_folder must stay inside the template", file=str(file), line=line)
    packages = {}
    for option in section.sections("build_options"):
        packages[option.text("name") or ""] = option.words("packages")
    return Template(name, folder, handler_folder, packages, section.text("welcome_message") or "")
