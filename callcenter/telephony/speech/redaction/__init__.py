"""Numbers that may not be kept: found in what is said, also in pieces, before it is kept. Pure."""
