"""The one exception that this package raises for what a user can put right."""


class BundleError(Exception):
    """Something is wrong with a bundle, a key or the place where they lie; the text says what, and what to do."""
