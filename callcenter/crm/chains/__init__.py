"""Keyed hash chains over rows that are only added: what is changed or taken away is seen."""
