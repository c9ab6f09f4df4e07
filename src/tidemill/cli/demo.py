"""The main job on real photographs, step by step, as `tidemill up --demo` shows it.

Each photo is uploaded and answered 202, its job waits in the queue, a worker makes thumbnails and notes what the
photo is, and the item is polled until it is processed. A broken file ends among the dead letters, and a photo that
is sent twice is still one job.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.cli.client import Gateway
from tidemill.cli.demo_calls import (
    CONTENT_TYPES,
    NotAsItShouldBe,
    Sent,
    item,
    send,
    wait_for_dead_letter,
    wait_until_finished,
)
from tidemill.cli.failures import Failure

if TYPE_CHECKING:
    from rich.console import Console

AT_ONCE = 4
BROKEN = "broken.jpg"
_QUERY = "query={items(first:3){items{id status}}}"


def run(gateway: str, auth_header: str, photos: Path, console: Console) -> bool:
    """Shows the main job on the files of the folder `photos`. False where something is not as it should be; what, is
    said on the console. Ids are new each time."""
    with Gateway(gateway, logins=[auth_header]) as client:
        try:
            _Story(client, photos, console).tell()
        except (NotAsItShouldBe, Failure) as error:
            console.print(f"\nThe demonstration failed: {error}", style="bold red", markup=False)
            if isinstance(error, Failure) and error.hint:
                console.print(f"hint: {error.hint}", markup=False)
            return False
    return True


class _Story:
    def __init__(self, gateway: Gateway, photos: Path, console: Console) -> None:
        self._gateway = gateway
        self._console = console
        self._photos = sorted(path for path in photos.iterdir() if path.suffix in CONTENT_TYPES)
        self._run = f"demo-{secrets.token_hex(3)}"

    def tell(self) -> None:
        good = [photo for photo in self._photos if photo.name != BROKEN]
        broken = [photo for photo in self._photos if photo.name == BROKEN]
        if not good or not broken:
            raise NotAsItShouldBe(f"the photos are not there: some good ones and {BROKEN} are needed")
        sent = self._upload([*good, *broken])
        self._follow(sent[: len(good)])
        self._show_dead_letter(sent[-1])
        self._send_again(good[0], sent[0])
        self._point_onward(sent[0], sent[-1])

    def _upload(self, photos: Sequence[Path]) -> list[Sent]:
        self._heading(f"{len(photos)} files go to POST /upload, {AT_ONCE} at a time")

        def one(photo: Path) -> Sent:
            item_id = f"{self._run.removeprefix('demo-')}-{photo.stem}"
            return send(self._gateway, photo, item_id=item_id, correlation_id=self._run)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            sent = list(pool.map(one, photos))
        rows = [(one.name, _ms(one.answered_s), one.item_id, one.call_id) for one in sent]
        self._table(("file", "202 after", "item", "call of the upload"), rows)
        return sent

    def _follow(self, sent: Sequence[Sent]) -> None:
        self._heading("The jobs run; GET /items/ID is asked until each item is processed")
        rows = []
        for one in sent:
            found = wait_until_finished(self._gateway, one)
            if found["status"] != "processed" or found["effects"] != 1:
                raise NotAsItShouldBe(f"item {one.item_id} is {found['status']}: {found.get('reason', found)}")
            rows.append((one.name, found["status"], *_about(found)))
        self._table(("file", "status", "after", "photo", "thumbnails"), rows)

    def _show_dead_letter(self, broken: Sent) -> None:
        self._heading(f"{broken.name} is no image: its job is given up and kept among the dead letters")
        letter = wait_for_dead_letter(self._gateway, broken)
        found = item(self._gateway, broken.item_id)
        if found["status"] != "failed":
            raise NotAsItShouldBe(f"the item of {broken.name} is {found['status']} and should be failed")
        attempts = letter.get("attempts", [])
        self._pairs(
            {
                "dead letter": letter["call_id"],
                "reason": letter["reason"],
                "attempts": str(len(attempts)),
                "died at": letter["died_at"],
                "item says": f"{found['status']}: {found.get('reason', '')}",
            }
        )

    def _send_again(self, photo: Path, first: Sent) -> None:
        self._heading(f"{photo.name} is sent once more under the same id")
        again = send(self._gateway, photo, item_id=first.item_id, correlation_id=self._run)
        if again.job_call_id != first.job_call_id:
            raise NotAsItShouldBe(
                f"sent twice, {photo.name} became two jobs: {first.job_call_id} and {again.job_call_id}"
            )
        found = item(self._gateway, first.item_id)
        if found["effects"] != 1:
            raise NotAsItShouldBe(f"item {first.item_id} was processed {found['effects']} times")
        self._console.print(f"202 again, the same job {first.job_call_id}, processed once.", highlight=False)

    def _point_onward(self, good: Sent, broken: Sent) -> None:
        url = self._gateway.url
        self._heading("To go on from here")
        self._pairs(
            {
                "an item": f"curl {url}/items/{good.item_id}",
                "all items": f"curl '{url}/items?limit=5'",
                "by GraphQL": f"curl -G {url}/graphql --data-urlencode '{_QUERY}'",
                "your own photo": f"curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg {url}/upload",
                "every hop of this": f"tidemill logs --correlation {self._run}",
                "the dead letter": f"tidemill dead show {broken.job_call_id}",
            }
        )

    def _heading(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold", markup=False, highlight=False)

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, pad_edge=False, header_style="dim")
        for row in rows:
            table.add_row(*(Text(cell, overflow="fold") for cell in row))
        self._console.print(table)

    def _pairs(self, pairs: Mapping[str, str]) -> None:
        """Names and values, one a line; long lines are left whole, so that commands can be copied."""
        width = max(len(name) for name in pairs)
        for name, value in pairs.items():
            line = f"{name:<{width}}  {value}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _about(found: dict[str, Any]) -> tuple[str, str, str]:
    took = datetime.fromisoformat(found["updated_at"]) - datetime.fromisoformat(found["created_at"])
    image = found["image"]
    photo = f"{image['format']} {image['width']}×{image['height']}, {image['size_bytes'] / 1024:.0f} KiB"
    thumbnails = ", ".join(f"{t['width']}×{t['height']}" for t in found["thumbnails"])
    return _ms(took.total_seconds()), photo, thumbnails


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
