"""External signers: keys that are with somebody else, described in a department's `keys.yaml`."""
