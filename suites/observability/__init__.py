"""What can be seen of running workloads: their logs."""
