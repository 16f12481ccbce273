"""Numbers that may not be kept: found in what is said and typed before it is kept. Pure."""
