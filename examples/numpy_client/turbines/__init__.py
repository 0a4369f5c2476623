"""Wind farms learn together when a gearbox is about to fail."""
