"""What customers are sent: an outbox in the database, emptied by the jobs process."""
