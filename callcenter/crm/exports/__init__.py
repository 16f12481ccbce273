"""Exports: all that is kept of one customer, as an archive that is there for a day."""
