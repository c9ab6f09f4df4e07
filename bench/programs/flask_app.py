"""The Flask application around one handler file, as the python3-flask template has it; what gunicorn serves.

BENCH_HANDLER names the handler's file. Runs in the peers' environment and imports nothing of ours.
"""

import importlib.util
import os

from flask import Flask, request


def load_handler(path):
    """The `handle` of a file."""
    spec = importlib.util.spec_from_file_location("handler", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handle


app = Flask(__name__)
handle = load_handler(os.environ["BENCH_HANDLER"])


@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def main_route(path):
    """Hand the body to the handler, as text."""
    return handle(request.get_data(as_text=True))
