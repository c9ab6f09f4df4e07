"""The platform on one machine without Docker: real servers found or installed, configured, started and watched.

1. `parts` finds or installs the servers (nats-server, HAProxy, mongod, an S3 server).
2. `prepare` writes what they are started with: `credentials`, `config_nats`, the edge's configuration.
3. `tree` lists the services: command, readiness, how and when each is stopped.
4. `supervisor` runs that list; `restart` (pure) decides when what died is started again.
5. `launch` is what the command line and the tests call: prepare, start, stop, status.
"""
