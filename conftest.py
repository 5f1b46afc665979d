"""Registers the plugin of the suite; everything else is in `fixtures.plugin`."""

pytest_plugins = ["fixtures.plugin"]
