"""Items are read as the article reads them, in pages, and by GraphQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.support.platform import Platform
from tests.support.processes import frozen
from tidemill.embedded.credentials import functions_uri

pytestmark = pytest.mark.stack

ITEM = {"_id": "acceptance-1", "name": "a lamp"}


@pytest.fixture
def items(app: Platform) -> Iterator[Collection[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(functions_uri(app.settings))
    with client:
        yield client.get_default_database("tidemill").items


def queued(http: httpx.Client, item_id: str) -> None:
    answer = http.post("/upload", json={"id": item_id, "key": "photos/none"})
    assert answer.status_code == 202, answer.text


def test_an_item_that_is_there(app: Platform, http: httpx.Client) -> None:
    """200 and the item as JSON."""
    queued(http, "acceptance-there")
    answer = http.get("/items/acceptance-there")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json()["id"] == "acceptance-there"


def test_an_item_that_is_not_there(app: Platform, http: httpx.Client) -> None:
    """404 with the article's words."""
    answer = http.get("/items/acceptance-none")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})


@pytest.mark.faults
def test_a_database_that_does_not_answer(app: Platform, http: httpx.Client) -> None:
    """500 with the article's words and nothing of the inside, and the call id to find it by; well again after."""
    with frozen(app, "mongo"):
        answer = http.get("/items/acceptance-any", headers={"X-Call-Id": "acceptance-500"})
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
    assert answer.headers["X-Call-Id"] == "acceptance-500"
    assert http.get("/items/acceptance-none").status_code == 404


def test_pages_hold_every_item_once(app: Platform, http: httpx.Client) -> None:
    """Following `next` from the first page to the last."""
    wanted = {f"acceptance-page-{number}" for number in range(7)}
    for item_id in wanted:
        queued(http, item_id)
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        page = http.get("/items", params={"limit": 3} | ({"next": token} if token else {})).json()
        assert len(page["items"]) <= 3
        seen += [item["id"] for item in page["items"]]
        token = page["next"]
    assert wanted <= set(seen)
    assert len(seen) == len(set(seen))


def test_graphql_has_the_same_items(app: Platform, http: httpx.Client) -> None:
    """One by id and a list, in one question; a wrong question is named."""
    queued(http, "acceptance-graph")
    query = 'query { item(id: "acceptance-graph") { id status } items(first: 1) { items { id } } }'
    answer = http.post("/graphql", json={"query": query})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert data["item"]["id"] == "acceptance-graph"
    assert len(data["items"]["items"]) == 1
    wrong = http.post("/graphql", json={"query": "{ nothing }"})
    assert wrong.status_code == 400
    assert "nothing" in wrong.json()["errors"][0]["message"]
