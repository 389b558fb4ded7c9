"""Results -> documents. Figures come in computed; nothing is calculated twice."""
