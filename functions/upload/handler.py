"""POST /upload: takes a photo, or the key of one that is stored, and queues the job that processes it."""

from tidemill.contract.errors import Conflict, Unavailable
from tidemill.contract.headers import JOB_CALL_ID
from tidemill.lib.clock import utc_now
from tidemill.lib.config import Config
from tidemill.lib.connections import PerProcess, connect_mongo, connect_s3
from tidemill.lib.function import answer, answers_errors
from tidemill.lib.gateway import HttpGateway
from tidemill.lib.items import MongoItems, Status
from tidemill.lib.log import get_logger
from tidemill.lib.objects import S3Objects

from .request import read_upload

config = Config()
MAX_BYTES = config.size_bytes("upload_max_bytes")
BUCKET = config.text("items_bucket")

items = PerProcess(lambda: MongoItems(connect_mongo(config).items))
objects = PerProcess(lambda: S3Objects(connect_s3(config), BUCKET))
gateway = PerProcess(lambda: HttpGateway(config.text("OPENFAAS_URL")))
log = get_logger("fn")


@answers_errors
def handle(event, context):
    upload = read_upload(event, max_bytes=MAX_BYTES)
    try:
        job_call_id = accept(upload)
    except Unavailable as error:
        error.hint = f"send it again with the id {upload.id}"
        raise
    log.info("upload queued", item=upload.id, key=upload.key, job_call_id=job_call_id)
    return answer(
        202,
        {"id": upload.id, "status": Status.QUEUED},
        extra_headers={"Location": f"/items/{upload.id}", JOB_CALL_ID: job_call_id},
    )


def accept(upload):
    """First the photo, then the item, then the job: whoever sees the later one finds the earlier. Every step changes
    nothing when it is done again, so the same upload twice is one job. Returns the job's call id."""
    known = items().find(upload.id)
    if upload.data is not None and not known:
        objects().put(upload.key, upload.data, content_type=upload.content_type)
    item = known or items().create(upload.id, upload.key, now=utc_now())
    if item.key != upload.key:
        if upload.data is not None and not known:
            objects().remove(upload.key)  # somebody else was quicker
        raise Conflict(f"item {upload.id} exists already, with another photo")
    job = {"id": upload.id, "key": upload.key}
    again = f"-{item.attempts}" if item.status == Status.FAILED else ""  # a failed one may be tried once more
    return gateway().call_later("process-job", job, key=f"upload-{upload.id}{again}")
