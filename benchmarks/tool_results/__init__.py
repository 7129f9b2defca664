"""Made-up results of tools: labelled ones with people in them, and clean ones. Seeded; nothing is copied from a data set."""
