"""One row a contact: outcome, notes, transcript, recording."""
