"""Load: open-loop scenarios that Locust runs in a process of its own, and what their latencies prove."""
