"""Properties of name service: name servers, and what Services resolve to."""
