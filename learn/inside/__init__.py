"""Look inside: a ceremony opened, message by message and check by check."""
