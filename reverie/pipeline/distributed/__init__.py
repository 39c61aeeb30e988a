"""Ray: the one folder that imports it."""
