"""The function server with the hello handler on a TCP port, as a replica runs it on its unix socket.

`python function_server.py PORT FOLDER`; FOLDER has function/handler.py.
"""

import socket
import sys
import threading

from tidemill.runtime.app import FunctionApp
from tidemill.runtime.calls import Calls
from tidemill.runtime.granian_adapter import serve
from tidemill.runtime.handlers import load_view
from tidemill.runtime.output import capture
from tidemill.runtime.server import FunctionServer

port, folder = int(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", port))
listener.setblocking(False)
capture("hello-tcp", "hello.bench")
calls = Calls()
server = FunctionServer(FunctionApp(load_view("python3-flask", folder), root=folder), calls, ref="hello.bench")
serve(server, listener, threads=calls.pool_size, after_answer=calls.rest)
threading.Event().wait()
