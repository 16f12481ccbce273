"""Who may sign in, their sessions and their failed tries."""
