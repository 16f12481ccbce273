"""Full-text search over transcripts."""
