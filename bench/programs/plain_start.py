"""A plain process start: import the handler, then answer on the listening socket inherited as descriptor argv[1].

The socket listens before the process lives, as a unit with socket activation would have it: the first call waits in
its backlog and no polling blurs the time. Runs in the peers' environment and imports nothing of ours.
"""

import sys

from flask_app import app
from werkzeug.serving import make_server

make_server("127.0.0.1", 0, app, fd=int(sys.argv[1])).serve_forever()
