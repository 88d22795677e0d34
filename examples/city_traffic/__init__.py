"""A city gets how fast its traffic flows, a company pays for the same, and nobody gets a vehicle."""
