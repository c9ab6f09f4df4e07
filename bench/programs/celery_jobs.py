"""The Celery peer: one task that calls the handler over HTTP and is acked after success.

`celery -A celery_jobs worker` runs it; `python celery_jobs.py COUNT` submits COUNT jobs. BENCH_BROKER and
BENCH_TARGET (host:port/path) come by environment. Runs in the peers' environment and imports nothing of ours.
"""

import http.client
import os
import sys
import threading

from celery import Celery

BODY = b'{"id": "item-1", "key": "photos/item-1.jpg"}'

app = Celery("celery_jobs", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_acks_late=True,
    task_acks_on_failure_or_timeout=False,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_delivery_mode="persistent",
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "4")),
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
authority, _, path = os.environ["BENCH_TARGET"].partition("/")
kept = threading.local()


@app.task
def call(body):
    """One HTTP call on this worker's kept-alive connection; anything but 200 fails the job, which stays unacked."""
    if not hasattr(kept, "connection"):
        kept.connection = http.client.HTTPConnection(authority, timeout=10)
    kept.connection.request("POST", "/" + path, body.encode())
    answer = kept.connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"the handler answered {answer.status}")


def submit(count):
    """On one kept connection, as a web process would."""
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            call.apply_async((BODY.decode(),), producer=producer)


if __name__ == "__main__":
    submit(int(sys.argv[1]))
