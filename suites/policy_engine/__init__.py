"""What a policy engine, or the API server itself, refuses of what the owner forbids."""
