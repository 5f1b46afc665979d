"""What stands between a request and the store: webhooks and policies that change or refuse it."""
