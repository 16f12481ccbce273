"""What a call was like: its figures, remarks on it, and finding the one that matters."""
