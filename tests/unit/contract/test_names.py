"""Names that several parts share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.errors import BadRequest
from tidemill.contract.names import (
    CALL_ID,
    FunctionRef,
    calls_subject,
    dead_subject,
    queue_filter,
    queue_subject,
)

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(labels, labels)
def test_a_reference_reads_back_what_it_prints(name: str, namespace: str) -> None:
    """`NAME.NAMESPACE` splits on the last dot, whatever the labels."""
    ref = FunctionRef(name, namespace)
    assert FunctionRef.parse(str(ref)) == ref


def test_a_bare_name_is_in_the_default_namespace() -> None:
    """Stock clients name functions both ways."""
    assert FunctionRef.parse("hello") == FunctionRef("hello", "openfaas-fn")


@pytest.mark.parametrize("bad", ["", "Hello", "a_b", "-a", "a-", "a" * 64, "../etc", "a b", "a.b.c_", "a.", ".a"])
def test_names_that_are_not_dns_labels_are_refused(bad: str) -> None:
    """A name becomes a path, a subject and a map key: nothing else may pass."""
    with pytest.raises(BadRequest, match="DNS label"):
        FunctionRef.parse(bad)


@given(labels, labels, st.from_regex(CALL_ID, fullmatch=True))
def test_subjects_have_one_token_a_part(name: str, namespace: str, call_id: str) -> None:
    """A consumer's filter matches exactly its own function's messages."""
    ref = FunctionRef(name, namespace)
    assert queue_subject(ref, call_id).split(".") == ["tm", "queue", namespace, name, call_id]
    assert queue_subject(ref, call_id).startswith(queue_filter(ref).removesuffix("*"))
    assert dead_subject(ref, call_id).count(".") == 4
    assert calls_subject(call_id) == f"tm.calls.{call_id}"
