"""Loads a function's handler from its folder, as the runtime does."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from itertools import count
from pathlib import Path
from types import ModuleType

_number = count(1)


def load_handler(folder: Path | str) -> ModuleType:
    """The module `handler` of the function in `folder`, freshly loaded, its neighbours importable as `.name`.
    Raises FileNotFoundError where there is no handler.py, and what the handler itself raises."""
    return load_module(folder, "handler")


def load_module(folder: Path | str, name: str) -> ModuleType:
    """Another module of the function in `folder`, such as one that holds its pure part."""
    path = Path(folder).absolute()
    if not (path / f"{name}.py").is_file():
        raise FileNotFoundError(f"there is no {name}.py in {path}")
    package = f"function_{next(_number)}_{path.name.replace('-', '_')}"
    spec = ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(path)]
    sys.modules[package] = module_from_spec(spec)
    return importlib.import_module(f"{package}.{name}")
