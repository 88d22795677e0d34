"""The contract log: a transparency log of what this connector agreed, did and was told, which proves itself."""
