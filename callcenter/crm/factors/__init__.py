"""What a person shows beside the password: code generators, passkeys, recovery codes."""
