"""People and companies, and how they are recognised by their number."""
