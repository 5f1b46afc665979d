"""Properties of how workloads are run: rollout, kind, schedule, priority, probes, placement and resources."""
