"""Complaints by the stages of ISO 10002:2018, clause 8."""
