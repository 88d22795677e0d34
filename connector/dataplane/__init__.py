"""The data plane: the process that moves the bytes."""
