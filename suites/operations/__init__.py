"""Repair without help."""
