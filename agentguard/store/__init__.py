"""What lies beneath: one line to Redis, the embedded server, sealing, keys, and the loop that all I/O runs on."""
