"""A job `{"ledger", "job"}` whose effect is counted: its document's `effects` goes up by one, once and never again.

With the variable `guard` set to `off` it counts without looking, as a function does whose author forgot that a
delivery may come twice.
"""

import time
from functools import partial

from tidemill.contract.errors import Unavailable, Unprocessable
from tidemill.lib.config import Config
from tidemill.lib.connections import PerProcess, connect_mongo
from tidemill.lib.function import answer, answers_errors, json_object
from tidemill.lib.idempotency import Idempotency, InProgress
from tidemill.lib.idempotency.mongo import MongoRecords
from tidemill.lib.outages import mongo_errors

config = Config()
database = PerProcess(lambda: connect_mongo(config))
records = PerProcess(lambda: MongoRecords(database().effects_idempotency))


@answers_errors
def handle(event, context):
    job = json_object(event.body)
    if job.get("hopeless"):
        raise Unprocessable("this job can never succeed")
    try:
        if config.text("guard", "on") == "off":
            return answer(200, count(job))
        once = Idempotency(records(), lease_s=2)
        return answer(200, once.run(f"{job['ledger']}/{job['job']}", job, partial(count_once, job)))
    except InProgress:
        raise
    except Unavailable as outage:
        return answer(503, outage.as_wire())  # without Retry-After: the next attempt is soon enough here


def count_once(job, hold):
    """Once, even where an earlier holder died between the effect and its record."""
    from pymongo.errors import DuplicateKeyError

    pause()
    key = {"_id": f"{job['ledger']}/{job['job']}"}
    with mongo_errors():
        try:
            effect = {"$inc": {"effects": 1}, "$set": {"ledger": job["ledger"], "job": job["job"]}}
            database().effects.update_one({**key, "effects": {"$exists": False}}, effect, upsert=True)
        except DuplicateKeyError:
            pass  # counted already
    pause()
    return job


def count(job):
    key = {"_id": f"{job['ledger']}/{job['job']}"}
    with mongo_errors():
        effect = {"$inc": {"effects": 1}, "$set": {"ledger": job["ledger"], "job": job["job"]}}
        database().effects.update_one(key, effect, upsert=True)
    pause()
    return job


def pause():
    """So that a call is in hand long enough to be cut off."""
    time.sleep(config.duration_s("pause", 0.002))
