"""How configuration gets into the cluster."""
