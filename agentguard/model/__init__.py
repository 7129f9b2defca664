"""Values: what is written to YAML, Redis, HTTP and the journal, and canonical JSON."""
