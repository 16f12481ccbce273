"""A newcomer's trial: sample data, and a customer who phones in."""
