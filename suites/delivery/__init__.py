"""How new versions arrive, and how bad ones are stopped and taken back."""
