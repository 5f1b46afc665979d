"""Which traffic the policies of a cluster let through, judged from the policy objects."""
