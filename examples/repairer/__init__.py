"""A repair at the owner's request: one vehicle's faults and kilometres, for the garage that its owner chose."""
