"""An exception of a function's code as its author wants to read it: from their own lines on, and in one line."""

from __future__ import annotations

import os
from types import TracebackType

from tidemill.runtime.handlers import HandlerUnusable


def begin_with_own_code(error: BaseException, folder: str) -> None:
    """How the platform came to the first line below `folder` is cut from the traceback. One that has no such line
    stays whole, unless the error says by itself what is wrong with the function's code."""
    own = _first_own(error.__traceback__, folder)
    if own is not None or isinstance(error, SyntaxError | HandlerUnusable):
        error.__traceback__ = own


def in_one_line(error: BaseException, folder: str) -> str:
    """As the last line of a traceback, with the last place in the function's code that led there."""
    if isinstance(error, HandlerUnusable):
        return str(error)
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    step, place = _first_own(error.__traceback__, folder), ""
    while step is not None:
        if _is_own(step, folder):
            place = f" ({os.path.basename(step.tb_frame.f_code.co_filename)}, line {step.tb_lineno})"
        step = step.tb_next
    return text if isinstance(error, SyntaxError) else text + place


def _first_own(step: TracebackType | None, folder: str) -> TracebackType | None:
    while step is not None and not _is_own(step, folder):
        step = step.tb_next
    return step


def _is_own(step: TracebackType, folder: str) -> bool:
    return step.tb_frame.f_code.co_filename.startswith(folder.rstrip("/") + "/")
