"""What a callback tells."""

from __future__ import annotations

from tidemill.queue.callbacks import CallbackNote


def note(*headers: tuple[str, str]) -> CallbackNote:
    return CallbackNote(
        call_id="c-1",
        function="fn.openfaas-fn",
        url="/function/hook",
        status=200,
        headers=headers,
        duration_s=0.25,
        attempts=2,
        most_attempts=10,
        body_object=None,
        correlation_id="k-1",
    )


def test_the_functions_headers_and_ours() -> None:
    """Ours win over the function's own; those of the connection and of the platform are not carried on."""
    sent = note(
        ("Content-Type", "text/plain"),
        ("x-call-id", "forged"),
        ("X-Tidemill-Attempt", "1"),
        ("Content-Length", "7"),
        ("Connection", "close"),
    ).request_headers()
    assert sent == [
        ("Content-Type", "text/plain"),
        ("X-Call-Id", "c-1"),
        ("X-Function-Name", "fn.openfaas-fn"),
        ("X-Function-Status", "200"),
        ("X-Duration-Seconds", "0.250000"),
        ("X-Retry", "1"),
        ("X-Retry-Max", "10"),
        ("User-Agent", "tidemill-queue-worker"),
        ("X-Correlation-Id", "k-1"),
    ]


def test_a_note_survives_the_wire() -> None:
    """It waits in the broker as JSON."""
    written = note(("A", "b"))
    wire = {**written.as_wire(), "headers": [list(pair) for pair in written.headers]}
    assert CallbackNote.from_wire(wire) == written
