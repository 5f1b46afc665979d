"""Who is let in, with which credentials, and for how long."""
