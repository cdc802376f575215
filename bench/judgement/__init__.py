"""What measured slots mean: effects, comparisons, words, claims."""
