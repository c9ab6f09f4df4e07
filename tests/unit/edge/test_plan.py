"""From what HAProxy has to what it should have: which commands, in which order."""

from __future__ import annotations

from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Load, Server, Target
from tidemill.edge.admin import RuntimeBackend, RuntimeServer, parse_map, parse_stat
from tidemill.edge.picture import Picture
from tidemill.edge.plan import Line, loads, needs_reload, plan

HELLO = FunctionRef("hello")


def picture(*servers: Server) -> Picture:
    made = Picture().following({HELLO: Target(HELLO, servers)})
    return Picture(made.targets, made.places, pool=2)


def runtime(**servers: RuntimeServer) -> dict[str, RuntimeBackend]:
    named = {name.replace("_", "-"): server for name, server in servers.items()}
    return {"fn0": RuntimeBackend(named, queued=3, total=9), "fn1": RuntimeBackend({}, queued=0, total=0)}


def test_a_new_version_is_added_and_the_old_one_shrinks_away() -> None:
    """Added and made ready first; the old line is only named, since waiting comes before deleting."""
    steps = plan(picture(Server("v2-0", "/run/b.sock", 4)), runtime(v1_0=RuntimeServer(4, True, 1)))
    assert [command.text for command in steps.grow] == [
        "add server fn0/v2-0 unix@/run/b.sock maxconn 4 pool-purge-delay 5s",
        "set server fn0/v2-0 state ready",
    ]
    assert steps.shrink == (Line("fn0", "v1-0"),)


def test_what_agrees_already_is_left_alone() -> None:
    """No command at all."""
    steps = plan(picture(Server("v1-0", "/run/a.sock", 4)), runtime(v1_0=RuntimeServer(4, True, 1)))
    assert (steps.grow, steps.shrink) == ((), ())


def test_limits_and_states_are_put_right() -> None:
    """Another number of connections is set; a wanted line that is drained comes back."""
    steps = plan(picture(Server("v1-0", "/run/a.sock", 8)), runtime(v1_0=RuntimeServer(4, False, 0)))
    assert [command.text for command in steps.grow] == [
        "set maxconn server fn0/v1-0 8",
        "set server fn0/v1-0 state ready",
    ]


def test_backends_without_a_function_are_emptied() -> None:
    """Lines that nobody remembers go as well."""
    stray = runtime()
    stray["fn1"].servers["left-over"] = RuntimeServer(1, True, 0)
    assert plan(picture(), stray).shrink == (Line("fn1", "left-over"),)


def test_a_server_that_moves_needs_a_reload() -> None:
    """The same name on another socket; anything else does not."""
    before = picture(Server("v1-0", "/run/a.sock", 4))
    assert needs_reload(before, picture(Server("v1-0", "/run/b.sock", 4)))
    assert not needs_reload(before, picture(Server("v1-0", "/run/a.sock", 8), Server("v2-0", "/run/b.sock", 4)))
    assert not needs_reload(before, Picture())


def test_load_is_summed_over_servers() -> None:
    """In flight from the servers, queued and total from the backend."""
    running = runtime(a=RuntimeServer(4, True, 2), b=RuntimeServer(4, True, 3))
    assert loads(picture(), running) == {HELLO: Load(in_flight=5, queued=3, total=9)}


def test_show_stat_is_read_by_column_name() -> None:
    """Servers in maintenance or draining are not ready; empty numbers are 0."""
    text = (
        "# pxname,svname,qcur,scur,slim,stot,status,\n"
        "fn0,v1-0,0,2,4,7,no check,\n"
        "fn0,v1-1,0,,4,,DRAIN,\n"
        "fn0,v1-2,0,0,,0,MAINT,\n"
        "fn0,BACKEND,5,7,400,12,UP,\n"
        "fn1,BACKEND,0,0,1,0,DOWN,\n"
    )
    assert parse_stat(text) == {
        "fn0": RuntimeBackend(
            {
                "v1-0": RuntimeServer(4, True, 2),
                "v1-1": RuntimeServer(4, False, 0),
                "v1-2": RuntimeServer(0, False, 0),
            },
            queued=5,
            total=12,
        ),
        "fn1": RuntimeBackend({}, queued=0, total=0),
    }


def test_show_map_keeps_values_with_spaces() -> None:
    """The pointer goes, the rest of the line is the value."""
    text = "0x1 GET/a hello.openfaas-fn|GET /a\n0x2 ^x$ y"
    assert parse_map(text) == [("GET/a", "hello.openfaas-fn|GET /a"), ("^x$", "y")]
