"""Measuring a whole trial system on this machine: `callcenter bench …`.

Each measurement starts a callcenter of its own in a folder of its own; callers and agents run
in processes of their own, so that making the load does not disturb what is measured.
"""
