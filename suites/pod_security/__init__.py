"""Properties of what a container may do: its user, privileges, system calls, filesystem and share of the node."""
