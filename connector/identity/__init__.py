"""Who is calling, and who we are."""
