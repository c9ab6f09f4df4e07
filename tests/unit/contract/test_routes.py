"""Routes that functions declare."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidemill.contract.errors import BadRequest
from tidemill.contract.names import RESERVED_PATHS
from tidemill.contract.routes import METHODS, Route, parse_routes

LITERALS = st.from_regex(r"\A[A-Za-z0-9_~-]{1,8}\Z").filter(lambda text: f"/{text}" not in RESERVED_PATHS)
PARAMETERS = st.from_regex(r"\A\{[a-z_][a-z0-9_]{0,8}\}\Z")


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Any valid route."""
    segments = [draw(LITERALS), *draw(st.lists(LITERALS | PARAMETERS, max_size=4, unique=True))]
    if draw(st.booleans()):
        segments.append("{rest...}")
    assume("{rest}" not in segments)
    return Route.parse(f"{draw(st.sampled_from([*METHODS, '*']))} /{'/'.join(segments)}")


def filled(route: Route, value: str) -> str:
    """A path of the route, with `value` for each parameter."""
    return "/" + "/".join(value if segment.startswith("{") else segment for segment in route.segments)


def test_the_text_comes_back_normalised() -> None:
    """Method in capitals, one space."""
    assert str(Route.parse("  get   /items/{id} ")) == "GET /items/{id}"
    assert str(Route.parse("* /")) == "* /"


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", "is not METHOD /path"),
        ("/items", "is not METHOD /path"),
        ("GET /a /b", "is not METHOD /path"),
        ("FETCH /a", "FETCH is not one of"),
        ("CONNECT /a", "CONNECT is not one of"),
        ("GET items", "must start with /"),
        ("GET /{id}", "first segment must be plain text"),
        ("GET /a/{id}/{id}", "stands twice"),
        ("GET /a/{rest...}/b", "must be the last segment"),
        ("GET /a//b", 'segment ""'),
        ("GET /a/", 'segment ""'),
        ("GET /a/..", r'segment "\.\."'),
        ("GET /a/./b", r'segment "\."'),
        ("GET /a/x{id}", "neither plain text"),
        ("GET /a/{Id}", "neither plain text"),
        ("GET /a/{}", "neither plain text"),
        ("GET /a?b", "neither plain text"),
        ('GET /a"b', "neither plain text"),
        ("GET /a*", "neither plain text"),
        *((f"GET {path}", "is reserved") for path in RESERVED_PATHS),
        ("GET /system/{x}", "is reserved"),
    ],
)
def test_what_is_no_route_is_refused(text: str, about: str) -> None:
    """The route is named, with what is wrong."""
    with pytest.raises(BadRequest, match=about):
        Route.parse(text)


def test_a_name_that_only_begins_like_a_reserved_one_is_free() -> None:
    """/systems is not /system."""
    assert Route.parse("GET /systems/{id}").pattern == "/systems/{id}"


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """It is a route or a BadRequest, and what it gives parses to itself."""
    try:
        route = Route.parse(text)
    except BadRequest:
        return
    assert Route.parse(str(route)) == route


@given(routes(), st.from_regex(r"\A[^/\n]{1,8}\Z"))
def test_the_edge_and_the_function_agree(route: Route, value: str) -> None:
    """A path matches the expression HAProxy uses exactly where the parameters are found in it."""
    path = filled(route, value)
    assert re.match(route.path_regex, path)
    found = route.parameters(path)
    assert set(found.values()) <= {value}
    assert len(found) == route.pattern.count("{")
    assert route.is_literal == (found == {})


@given(routes(), st.text(alphabet="ab/{}.", max_size=12).map(lambda text: "/" + text))
def test_a_path_that_the_edge_refuses_has_no_parameters(route: Route, path: str) -> None:
    """And one that it takes has them all."""
    matches = re.match(route.path_regex, path) is not None
    assert bool(route.parameters(path)) == (matches and not route.is_literal)


def test_parameters_are_found() -> None:
    """One segment each; the rest with its slashes."""
    route = Route.parse("GET /a/{one}/b/{rest...}")
    assert route.parameters("/a/1/b/2/3") == {"one": "1", "rest": "2/3"}
    assert route.parameters("/a/1/b") == {}
    assert route.parameters("/a/1/b/") == {}
    assert route.parameters("/a//b/2") == {}
    assert route.parameters("/x/1/b/2") == {}
    assert Route.parse("GET /a/{one}").parameters("/a/1/2") == {}


def test_literal_text_is_compared_as_it_is() -> None:
    """A dot in a route is a dot, not any character."""
    route = Route.parse("GET /a.b/{id}")
    assert re.match(route.path_regex, "/a.b/1")
    assert not re.match(route.path_regex, "/aXb/1")


def test_the_most_specific_comes_first() -> None:
    """Literals before parameters before the rest; a method before all methods."""
    ordered = ["GET /a/b", "* /a/b", "GET /a/{x}", "GET /a/{x...}"]
    assert sorted(reversed(ordered), key=lambda text: Route.parse(text).specificity) == ordered


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("GET /a/{x}", "GET /a/{y}", True),
        ("* /a", "POST /a", True),
        ("* /a", "* /a", True),
        ("GET /a", "POST /a", False),
        ("GET /a/{x}", "GET /a/{x...}", False),
        ("GET /a/{x}", "GET /a/b", False),
    ],
)
def test_a_clash_is_the_same_calls_twice(one: str, other: str, clash: bool) -> None:
    """Whichever is asked; a more specific route is no clash."""
    assert Route.parse(one).clashes(Route.parse(other)) is clash
    assert Route.parse(other).clashes(Route.parse(one)) is clash


def test_an_annotation_holds_several() -> None:
    """Separated by semicolons or lines, empty ones skipped."""
    found = parse_routes("GET /a; post /a\n\n;* /b;")
    assert [str(route) for route in found] == ["GET /a", "POST /a", "* /b"]
    assert parse_routes(" ") == ()


def test_an_annotation_that_clashes_with_itself_is_refused() -> None:
    """Naming the second."""
    with pytest.raises(BadRequest, match=r'"\* /a/\{y\}" is declared twice'):
        parse_routes("GET /a/{x}; * /a/{y}")


def test_a_path_that_ends_before_the_route_has_no_parameters() -> None:
    """Not even those that it got as far as."""
    assert Route.parse("GET /a/{one}/b").parameters("/a/1") == {}
