"""The naive door: one JetStream publish per request, 202 after its ack. Same server and client library as ours.

BENCH_NATS is the server's URL. Runs in the peers' environment and imports nothing of ours.
"""

import contextlib
import os
import uuid

import nats
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

SUBJECT = "tm.queue.openfaas-fn.hello"


@contextlib.asynccontextmanager
async def lifespan(application):
    """One connection; the stream is made where absent."""
    connection = await nats.connect(os.environ["BENCH_NATS"])
    application.state.stream = connection.jetstream()
    await application.state.stream.add_stream(
        StreamConfig(
            name="TM_QUEUE",
            subjects=["tm.queue.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            max_bytes=1 << 30,
        )
    )
    yield
    await connection.close()


async def submit(request):
    """Publish, wait for the ack, accept."""
    call_id = uuid.uuid4().hex
    headers = {"X-Call-Id": call_id, "Content-Type": request.headers.get("content-type", "")}
    body = await request.body()
    await request.app.state.stream.publish(f"{SUBJECT}.{call_id}", body, headers=headers)
    return Response(status_code=202, headers={"X-Call-Id": call_id})


app = Starlette(routes=[Route("/async-function/{name}", submit, methods=["POST"])], lifespan=lifespan)
