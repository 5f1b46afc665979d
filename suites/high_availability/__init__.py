"""What outlives the loss of one pod, node, zone or region."""
