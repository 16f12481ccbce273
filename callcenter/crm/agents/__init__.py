"""What each agent's browser has to be told, and each agent's last known state."""
