"""What a function finds in its environment, whichever backend runs it."""

SECRETS_DIR = "/var/openfaas/secrets"
"""Where a function's secrets are mounted, one file a secret."""
ENV_SECRETS_DIR = "TIDEMILL_SECRETS_DIR"
"""Set where they are elsewhere (process backend without root)."""
ENV_NAME = "OPENFAAS_NAME"
ENV_NAMESPACE = "OPENFAAS_NAMESPACE"
ENV_GATEWAY = "OPENFAAS_URL"
"""The gateway's URL as the function reaches it, without a trailing slash."""
ENV_S3_ENDPOINT = "S3_ENDPOINT"
"""URL of the object store; the keys are secrets."""

SECRET_MONGODB_URI = "mongodb-uri"
SECRET_S3_ACCESS_KEY = "s3-access-key"
SECRET_S3_SECRET_KEY = "s3-secret-key"
PLATFORM_SECRETS = (SECRET_MONGODB_URI, SECRET_S3_ACCESS_KEY, SECRET_S3_SECRET_KEY)
"""Secrets that the embedded stack makes in the default namespace at start; a function names those it needs."""

HEALTH_PATH = "/_/health"
READY_PATH = "/_/ready"
METRICS_PATH = "/_/metrics"

KINDS = ("python3-http", "python3-flask")
"""Templates the process backend can run."""
