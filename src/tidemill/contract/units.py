"""Durations and quantities as OpenFaaS writes them."""

from __future__ import annotations

import re

_GO_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|K|M|G|T)?")
_MEMORY_FACTOR = {
    None: 1,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


def parse_duration_s(text: str) -> float:
    """Seconds in a Go duration (`300ms`, `1m30s`) or a bare integer. Raises ValueError."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    total, end = 0.0, 0
    for part in _GO_PART.finditer(text):
        if part.start() != end:
            break
        total += float(part[1]) * _GO_UNIT_S[part[2]]
        end = part.end()
    if not text or end != len(text):
        raise ValueError(f"{text!r} is not a duration such as 300ms, 20s or 1m30s")
    return total


def parse_memory_bytes(text: str) -> int:
    """Bytes in a Kubernetes memory quantity (`128Mi`, `1Gi`, `256M`, plain bytes). Raises ValueError."""
    match = _MEMORY.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a memory quantity such as 128Mi or 1Gi")
    return int(float(match[1]) * _MEMORY_FACTOR[match[2]])


def parse_cpu_cores(text: str) -> float:
    """Cores in a Kubernetes CPU quantity (`100m` or `0.5`). Raises ValueError."""
    text = text.strip()
    number = text[:-1] if text.endswith("m") else text
    if not re.fullmatch(r"\d+(\.\d+)?", number):
        raise ValueError(f"{text!r} is not a CPU quantity such as 100m or 0.5")
    return float(number) / 1000 if text.endswith("m") else float(number)
