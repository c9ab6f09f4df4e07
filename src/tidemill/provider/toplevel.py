"""Which modules a distribution brought: what a zygote imports before it forks."""

from __future__ import annotations

from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

from tidemill.provider.requirements import normalize

NEVER = frozenset({"test", "tests", "doc", "docs", "example", "examples", "setup", "conftest"})
"""Names that distributions install by mistake."""


def top_level_modules(site_packages: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """Importable top-level modules of the distributions `names` (normalised), sorted."""
    found: set[str] = set()
    for distribution in distributions(path=[str(site_packages)]):
        if normalize(distribution.metadata["Name"]) in names:
            found |= _modules(distribution)
    return tuple(sorted(found))


def _modules(distribution: Distribution) -> set[str]:
    declared = distribution.read_text("top_level.txt")
    names = declared.split() if declared else [_module_of(PurePosixPath(file)) for file in distribution.files or ()]
    return {name for name in names if name.isidentifier() and not name.startswith("_") and name not in NEVER}


def _module_of(file: PurePosixPath) -> str:
    """`PIL` of `PIL/Image.py`, `six` of `six.py`, `` of anything else."""
    if file.suffix not in (".py", ".so") or ".." in file.parts:
        return ""
    return file.parts[0] if len(file.parts) > 1 else file.name.partition(".")[0]
