"""Recordings among a million: the list that is narrowed to what one looks for, and saved views."""
