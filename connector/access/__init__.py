"""Who may do what with this connector: people and programs of its owner, their roles and scopes. Never peers."""
