"""What rules and regulations ask for beyond the other areas."""
