"""The pages of an account: `/account`."""
