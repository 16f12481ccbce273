"""Automatic call distribution: agent states, queues, routing. Pure: no I/O, no clock."""
