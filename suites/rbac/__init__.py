"""Who may do what: roles, bindings and ServiceAccounts."""
