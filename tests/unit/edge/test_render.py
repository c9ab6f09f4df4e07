"""The rendered maps and configuration against golden files, and what an operator and a setting change in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Server, Target
from tidemill.edge.picture import Picture
from tidemill.edge.render import CONFIG_FILE, Extensions, render
from tidemill.lib.settings import Settings

GOLDEN = Path(__file__).parents[2] / "golden" / "edge"
SEPARATOR = "\n---\n"
SETTINGS = Settings(data_dir=Path("/srv/tidemill"))


def _picture(text: str) -> Picture:
    """Golden input: a JSON object a line with `ref`, `servers` (name → socket), `maxconn`, options of Target."""
    targets = {}
    for line in text.splitlines():
        told = json.loads(line)
        ref = FunctionRef.parse(told.pop("ref"))
        connections = told.pop("maxconn", 4)
        servers = tuple(Server(name, socket, connections) for name, socket in told.pop("servers").items())
        targets[ref] = Target(ref, servers, **told | {"routes": tuple(told.get("routes", ()))})
    made = Picture().following(targets)
    return Picture(made.targets, made.places, pool=max(2, len(targets)))


def _rendered(picture: Picture) -> str:
    """Every map, and of the configuration the part that depends on functions."""
    rendering = render(SETTINGS, picture)
    files = rendering.files()
    config = files.pop(CONFIG_FILE)
    backends = config[config.index("backend fn0 ") :].rstrip()
    return "\n".join([backends, *(f"# {name}\n{text}".rstrip() for name, text in files.items())]) + "\n"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("render-*.txt")), ids=lambda path: path.stem)
def test_functions_render_as_the_golden_file_says(path: Path) -> None:
    """Input above the line, backends and maps below it."""
    given, expected = path.read_text().split(SEPARATOR)
    assert _rendered(_picture(given)) == expected


def test_the_whole_configuration_is_as_the_golden_file_says() -> None:
    """Without functions, so that a change of the base file is seen in one place. Paths of this user are blanked."""
    config = render(SETTINGS, Picture(pool=1)).config.replace(str(SETTINGS.run_dir), "RUN")
    config = re.sub("description [0-9a-f]{12}", "description FINGERPRINT", config)
    assert config == (GOLDEN / "base.txt").read_text()


def test_rendering_is_a_function_of_the_picture_alone() -> None:
    """The order in which functions were given does not show."""
    one, two = Target(FunctionRef("a"), ()), Target(FunctionRef("b"), ())
    forward = Picture().following({one.ref: one, two.ref: two})
    backward = Picture().following({two.ref: two, one.ref: one})
    assert render(SETTINGS, forward).files() == render(SETTINGS, backward).files()


def test_the_fingerprint_changes_with_all_that_needs_a_reload_and_nothing_else() -> None:
    """Servers and routes do not; the pool, ports and the operator's lines do."""
    target = Target(FunctionRef("a"), (Server("v-0", "/run/a.sock", 4),), routes=("GET /a",))
    empty = render(SETTINGS, Picture()).fingerprint
    assert render(SETTINGS, Picture().following({target.ref: target})).fingerprint == empty
    others = {
        render(SETTINGS, Picture(pool=2)).fingerprint,
        render(Settings(data_dir=SETTINGS.data_dir, gateway_port=81), Picture()).fingerprint,
        render(SETTINGS, Picture(), Extensions(frontend="bind :81")).fingerprint,
        render(SETTINGS, Picture(), Extensions(sections="backend mine")).fingerprint,
    }
    assert len(others | {empty}) == 5


def test_an_operators_lines_stand_where_they_say() -> None:
    """Frontend lines before our rules, sections after ours; a dollar sign in them is theirs."""
    extensions = Extensions(frontend="http-request deny if { path -m reg ^/x$ }", sections="userlist mine\n")
    config = render(SETTINGS, Picture(pool=1), extensions).config
    assert config.index("path -m reg ^/x$ }") < config.index("set-var(txn.start_us)")
    assert config.index("frontend figures") < config.index("userlist mine\n")


def test_ipv6_addresses_are_bracketed() -> None:
    """As HAProxy needs them before a port."""
    settings = Settings(data_dir=SETTINGS.data_dir, bind_host="::1")
    assert "    bind [::1]:8080\n" in render(settings, Picture(pool=1)).config
