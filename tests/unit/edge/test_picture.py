"""Who lives in which backend, and that a picture survives being written down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Server, Target
from tidemill.edge.picture import SPARE, Picture


def targets(*names: str) -> dict[FunctionRef, Target]:
    refs = [FunctionRef(name) for name in names]
    return {ref: Target(ref, (Server("v-0", f"/run/{ref.name}.sock", 4),)) for ref in refs}


def test_functions_keep_their_place_and_newcomers_take_the_lowest_free_one() -> None:
    """a leaves, c stays where it was, d and e fill up from below."""
    first = Picture().following(targets("a", "b", "c"))
    second = first.following(targets("b", "c", "d", "e"))
    assert {ref.name: place for ref, place in first.places.items()} == {"a": 0, "b": 1, "c": 2}
    assert {ref.name: place for ref, place in second.places.items()} == {"b": 1, "c": 2, "d": 0, "e": 3}


def test_the_pool_grows_by_whole_spares_and_never_shrinks() -> None:
    """One function too many is one more SPARE; fewer functions later are no reason for a reload."""
    full = Picture().following(targets(*(f"f{number}" for number in range(SPARE))))
    grown = full.following(targets(*(f"f{number}" for number in range(SPARE + 1))))
    assert (full.pool, grown.pool, grown.following(targets("f0")).pool) == (SPARE, 2 * SPARE, 2 * SPARE)


@given(st.lists(st.sets(st.sampled_from([f"f{number}" for number in range(SPARE + 20)])), max_size=8))
def test_no_two_functions_ever_share_a_backend(history: list[set[str]]) -> None:
    """Whatever comes and goes: places are unique, within the pool, and unchanged for whoever stays."""
    picture = Picture()
    for names in history:
        following = picture.following(targets(*names))
        places = list(following.places.values())
        assert set(following.places) == set(following.targets)
        assert len(set(places)) == len(places)
        assert all(0 <= place < following.pool for place in places)
        assert all(following.places[ref] == place for ref, place in picture.places.items() if ref in following.places)
        picture = following


def test_a_picture_is_read_back_as_it_was_written() -> None:
    """JSON and back, with every field."""
    ref = FunctionRef("resize", "dev")
    target = Target(
        ref,
        (Server("v-0", "/run/a.sock", 4), Server("v-1", "/run/b.sock", 4)),
        routes=("GET /a", "* /b/{c...}"),
        timeout_s=1.5,
        max_body_bytes=7,
    )
    picture = Picture().following({ref: target})
    assert Picture.from_json(picture.as_json()) == picture
