"""Recording: the crash-safe journal of a call and the sealed file that is made of it."""
