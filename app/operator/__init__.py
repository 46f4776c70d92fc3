"""The commands of the operator: `flask users`, `flask stats`, `flask doctor` and so on."""
