"""The machines, versions and providers that a cluster stands on."""
