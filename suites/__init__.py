"""The checks, one folder for each area of the requirements."""
