"""Storage classes and persistent volumes."""
