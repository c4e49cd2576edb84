"""Second nets that judge the first one's answers."""
