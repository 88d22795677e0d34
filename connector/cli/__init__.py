"""The command line `carnet`."""
