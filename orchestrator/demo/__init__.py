"""The demonstration: a whole city on one machine, applicants walking through every scenario over HTTP, and the figures."""
