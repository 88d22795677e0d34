"""What is on offer: datasets, distributions, offers and their JSON-LD."""
