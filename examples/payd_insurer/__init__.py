"""Pay as you drive: from raw trips at the car maker to a driver's premium at the insurer."""
