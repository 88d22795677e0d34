"""The management interface that clients of EDC speak: versions 3 and 4 over one layer of services."""
