"""Every term that a policy may use, each with the point where it is enforced, the evidence that stands for it, or neither."""
