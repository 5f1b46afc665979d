"""Tenants and their namespaces."""
