"""What `carnet demo` runs."""
