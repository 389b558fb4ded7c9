"""What a person sees in the terminal: progress, problems with remedies, the result's tables."""
