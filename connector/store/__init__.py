"""The durable state of the connector, on SQLite or PostgreSQL."""
