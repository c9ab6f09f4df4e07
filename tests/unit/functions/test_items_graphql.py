"""The items by GraphQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from graphql import get_introspection_query

from tests.unit.functions.conftest import Call, caller
from tidemill.testing import MemoryItems, event

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def ask(load: Callable[[str], ModuleType], items: MemoryItems) -> Call:
    for name in "abc":
        items.create(name, f"photos/{name}", now=NOW)
    items.begin("b", "photos/b", owner="me", now=NOW)
    return caller(load("items-graphql"))


def post(query: str, **more: Any) -> Any:
    return event("POST", "/graphql", body={"query": query, **more})


def test_one_item(ask: Call) -> None:
    """By variable; null where there is none."""
    query = "query One($id: ID!) { item(id: $id) { id key status created_at } }"
    status, body, _ = ask(post(query, variables={"id": "b"}, operationName="One"))
    found = {"id": "b", "key": "photos/b", "status": "in_progress", "created_at": "2026-11-24T00:00:00.000Z"}
    assert (status, body) == (200, {"data": {"item": found}})
    assert ask(post(query, variables={"id": "none"}))[1] == {"data": {"item": None}}


def test_pages(ask: Call) -> None:
    """The same tokens as in GET /items."""
    query = "query($after: String) { items(first: 2, after: $after) { items { id } next } }"
    first = ask(post(query))[1]["data"]["items"]
    assert [item["id"] for item in first["items"]] == ["c", "b"]
    rest = ask(post(query, variables={"after": first["next"]}))[1]["data"]["items"]
    assert rest == {"items": [{"id": "a"}], "next": None}


def test_one_status_alone(ask: Call) -> None:
    """Names of GraphQL have no dashes."""
    body = ask(post("{ items(status: in_progress) { items { id } } }"))[1]
    assert body == {"data": {"items": {"items": [{"id": "b"}]}}}


def test_processed_items_have_images_and_thumbnails(ask: Call, items: MemoryItems) -> None:
    """Every field of the schema is one of the item's."""
    image = {"format": "PNG", "width": 2, "height": 1, "mode": "RGB", "frames": 1, "size_bytes": 9, "sha256": "0"}
    thumbnail = {"name": "small", "key": "k", "width": 2, "height": 1, "size_bytes": 7}
    items.finish("b", owner="me", image=image, thumbnails=[thumbnail], now=NOW)
    fields = "attempts effects reason updated_at image { format width height mode frames size_bytes sha256 }"
    query = f'{{ item(id: "b") {{ {fields} thumbnails {{ name key width height size_bytes }} }} }}'
    found = ask(post(query))[1]["data"]["item"]
    assert (found["image"], found["thumbnails"], found["effects"]) == (image, [thumbnail], 1)


def test_a_query_in_the_address(ask: Call) -> None:
    """GET, with variables as JSON text."""
    query = {"query": "query($id: ID!) { item(id: $id) { id } }", "variables": '{"id": "a"}'}
    assert ask(event("GET", "/graphql", query=query))[1] == {"data": {"item": {"id": "a"}}}


def test_the_schema_can_be_explored(ask: Call) -> None:
    """The usual introspection query fits into the bounds."""
    status, body, _ = ask(post(get_introspection_query()))
    assert (status, body["data"]["__schema"]["queryType"]["name"]) == (200, "Query")


def nested(depth: int) -> str:
    return "{ __schema { types { " + "ofType { " * depth + "name" + " }" * (depth + 3)


BOMB = (
    "query { ...f0 } "
    + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(40))
    + " fragment f40 on Query { item(id: 1) { id } }"
)


@pytest.mark.parametrize(
    ("query", "about"),
    [
        ("{ items { items { id } }", "Syntax Error"),
        ("", "Syntax Error"),
        ("{ secrets }", "Cannot query field"),
        ("mutation { drop }", "mutation"),
        ("{ items(first: \"many\") { next } }", "Int cannot represent"),
        ("{ items(status: nothing) { next } }", "nothing"),
        ("{ a: " + "x" * 10_001 + "}", "longer than 10000"),
        ("{" + " id" * 2_500 + "}", "tokens"),
        (nested(20), "deep"),
        ("{" + " ".join(f'i{n}: item(id: "a") {{ id }}' for n in range(11)) + "}", "more than 10 questions"),
        ("{ items { items {" + " ".join(f"k{n}: key" for n in range(501)) + "} } }", "fields"),
        (BOMB, "fields"),
        ("{ ... on Query { " + " ".join(f'i{n}: item(id: "a") {{ id }}' for n in range(11)) + "} }", "questions"),
        ("query { ...r } fragment r on Query { "
         + " ".join(f'i{n}: item(id: "a") {{ id }}' for n in range(11)) + " }", "questions"),
        ("query { ...a } fragment a on Query { ...a }", "itself"),
    ],
)  # fmt: skip
def test_queries_that_are_wrong_or_too_costly_are_refused(ask: Call, query: str, about: str) -> None:
    """400 in GraphQL's form, before any of it runs."""
    status, body, _ = ask(post(query))
    assert status == 400
    assert about in body["errors"][0]["message"]
    assert "data" not in body


@pytest.mark.parametrize(
    "request_",
    [
        event("POST", "/graphql", body=b"{"),
        event("POST", "/graphql", body=b"[]"),
        event("POST", "/graphql", body={"query": 7}),
        event("POST", "/graphql", body={"query": {"$ne": 1}}),
        event("POST", "/graphql", body={"query": "{ items { next } }", "variables": [1]}),
        event("POST", "/graphql", body={"query": "{ items { next } }", "operationName": 7}),
        event("GET", "/graphql"),
        event("GET", "/graphql", query={"query": "{ items { next } }", "variables": "x"}),
    ],
)
def test_requests_that_are_none_are_refused(ask: Call, request_: Any) -> None:
    """400 in GraphQL's form."""
    status, body, _ = ask(request_)
    assert status == 400
    assert body["errors"][0]["message"]


@pytest.mark.parametrize(
    "query",
    ['{ item(id: "../x") { id } }', "{ items(first: 0) { next } }", '{ items(after: "x") { next } }',
     "{ items(first: 101) { next } }"],
)  # fmt: skip
def test_bad_values_are_errors_of_their_field(ask: Call, query: str) -> None:
    """200, as GraphQL has it: the query as such was fine."""
    status, body, _ = ask(post(query))
    assert status == 200
    assert body["errors"][0]["path"] and body["errors"][0]["message"] != "Internal server error"


def test_an_operation_that_is_not_there(ask: Call) -> None:
    """Is the caller's mistake, not ours."""
    status, body, _ = ask(post("query One { items { next } }", operationName="Two"))
    assert status == 200
    assert "Two" in body["errors"][0]["message"]


def test_an_outage_is_a_server_error(
    ask: Call, items: MemoryItems, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """500 in GraphQL's form; what went wrong is in the log only."""
    items.down = True
    status, body, _ = ask(post("{ items { next } }"))
    assert status == 500
    assert [error["message"] for error in body["errors"]] == ["Internal server error"]
    assert b"query failed" in capfdbinary.readouterr().out
