"""The provider's HTTP API: one file a resource, joined in `app`."""
