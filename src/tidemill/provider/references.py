"""How callers name a function."""

from __future__ import annotations

from tidemill.contract.names import DEFAULT_NAMESPACE, FunctionRef


def function_ref(name: str, namespace: str | None) -> FunctionRef:
    """`NAME` with a namespace given beside it, or `NAME.NAMESPACE`. Raises BadRequest."""
    if "." in name and not namespace:
        return FunctionRef.parse(name)
    return FunctionRef(name, namespace or DEFAULT_NAMESPACE)
