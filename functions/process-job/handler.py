"""Called by the queue with `{"id", "key"}`: makes the photo's thumbnails and writes down what it is.

Every delivery may come twice, and each may die at any point. So the item is marked in-progress before and processed
after; whoever comes second gets the first one's answer, and a job whose holder died is taken over when its lease
has run out. Answers decide what the queue does: 5xx is tried again, 4xx goes to the dead letters.
"""

from functools import partial

from tidemill.contract.errors import BadRequest, NotFound, TooLarge, Unprocessable
from tidemill.lib.clock import utc_now
from tidemill.lib.config import Config
from tidemill.lib.connections import PerProcess, connect_mongo, connect_s3
from tidemill.lib.function import answer, answers_errors, json_object
from tidemill.lib.idempotency import Idempotency, LeaseLost
from tidemill.lib.idempotency.mongo import MongoRecords
from tidemill.lib.items import MongoItems, Status, check_id
from tidemill.lib.log import get_logger
from tidemill.lib.objects import S3Objects, check_key

from .photo import NotAnImage, develop

config = Config()
MAX_BYTES = config.size_bytes("upload_max_bytes")
MAX_PIXELS = config.whole("image_max_pixels", least=1)
LEASE_S = config.duration_s("job_lease")
BUCKET = config.text("items_bucket")

database = PerProcess(lambda: connect_mongo(config))
items = PerProcess(lambda: MongoItems(database().items))
records = PerProcess(lambda: MongoRecords(database().idempotency))
objects = PerProcess(lambda: S3Objects(connect_s3(config), BUCKET))
log = get_logger("fn")


@answers_errors
def handle(event, context):
    job = read_job(event.body)
    once = Idempotency(records(), lease_s=LEASE_S)
    return answer(200, once.run(f"process-job/{job['id']}", job, partial(process, job)))


def read_job(body):
    try:
        job = json_object(body)
        return {"id": check_id(job.get("id")), "key": check_key(job.get("key"))}
    except BadRequest as error:
        raise Unprocessable(f"this is no job: {error}") from error


def process(job, hold):
    """The work itself, while `hold` is ours."""
    item_id = job["id"]
    item = items().begin(item_id, job["key"], owner=hold.owner, now=utc_now())
    if item.status == Status.PROCESSED:  # by a holder that died before it could say so
        return {"id": item_id, "status": item.status}
    log.info("job begun", item=item_id, item_attempt=item.attempts)
    try:
        data = objects().get(job["key"], max_bytes=MAX_BYTES)
        photo = develop(data, max_pixels=MAX_PIXELS)
    except (NotFound, TooLarge, NotAnImage) as error:
        items().fail(item_id, owner=hold.owner, reason=str(error), now=utc_now())
        raise Unprocessable(str(error)) from error

    thumbnails = [store(item_id, thumbnail) for thumbnail in photo.thumbnails]
    if not items().finish(item_id, owner=hold.owner, image=photo.facts, thumbnails=thumbnails, now=utc_now()):
        raise LeaseLost()
    log.info("job done", item=item_id)
    return {"id": item_id, "status": Status.PROCESSED}


def store(item_id, thumbnail):
    """The same photo gives the same object again, so a second attempt changes nothing."""
    key = f"thumbnails/{item_id}/{thumbnail.name}.{thumbnail.extension}"
    objects().put(key, thumbnail.data, content_type=thumbnail.content_type)
    return {
        "name": thumbnail.name,
        "key": key,
        "width": thumbnail.width,
        "height": thumbnail.height,
        "size_bytes": len(thumbnail.data),
    }
