"""What a person shows beside the password: code generators and recovery codes."""
