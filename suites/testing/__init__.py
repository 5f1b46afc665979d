"""Faults on purpose: what the cluster does when something is killed."""
